//! Converts Candid between bytes and text, with the types of a .did file.

use crate::Result;
use candid_parser::candid::types::{Function, Type, TypeInner};
use candid_parser::candid::{IDLArgs, TypeEnv};
use candid_parser::{IDLProg, check_prog, parse_idl_args};

/// Encode the arguments of `method`, or of the service constructor.
pub fn encode(input: &[u8], method: Option<&&str>) -> Result<Vec<u8>> {
    let (env, service, text) = read(input)?;
    let service_type = service.as_ref().and_then(|service| env.trace_type(service).ok());
    let types = match (method, service_type.as_deref()) {
        (Some(method), _) => find(&env, &service, method).map(|function| function.args),
        (None, Some(TypeInner::Class(types, _))) => Some(types.clone()),
        _ => None,
    };
    let arguments = parse_idl_args(std::str::from_utf8(text)?)?;
    Ok(match types {
        Some(types) => arguments.to_bytes_with_types(&env, &types)?,
        None => arguments.to_bytes()?,
    })
}

/// Decode the results of `method` to text, in the form that `dfx canister call` prints.
pub fn decode(input: &[u8], method: &str) -> Result<Vec<u8>> {
    let (env, service, bytes) = read(input)?;
    let results = match find(&env, &service, method) {
        Some(function) => IDLArgs::from_bytes_with_types(bytes, &env, &function.rets)?,
        None => IDLArgs::from_bytes(bytes)?,
    };
    Ok(results.to_string().into_bytes())
}

/// Split the input at its first NUL and read the interface before it.
fn read(input: &[u8]) -> Result<(TypeEnv, Option<Type>, &[u8])> {
    let end = input.iter().position(|byte| *byte == 0);
    let (did, rest) = input.split_at(end.ok_or("no NUL after the interface")?);
    let mut env = TypeEnv::new();
    let service = check_prog(&mut env, &std::str::from_utf8(did)?.parse::<IDLProg>()?)?;
    Ok((env, service, &rest[1..]))
}

fn find(env: &TypeEnv, service: &Option<Type>, method: &str) -> Option<Function> {
    env.get_method(service.as_ref()?, method).ok().cloned()
}
