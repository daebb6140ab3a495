//! Candid between bytes and text, with the types of a .did file.

use crate::Result;
use candid_parser::candid::types::{Function, Type, TypeInner};
use candid_parser::candid::{IDLArgs, TypeEnv};
use candid_parser::{IDLProg, check_prog, parse_idl_args};

/// The arguments of `method`, or of the service constructor, as Candid bytes.
pub fn encode(input: &[u8], method: Option<&str>) -> Result<Vec<u8>> {
    let (did, text) = split(input)?;
    let (env, service) = load(did)?;
    let types = match method {
        Some(method) => find(&env, &service, method).map(|function| function.args),
        None => init_types(&env, &service),
    };
    let arguments = parse_idl_args(std::str::from_utf8(text)?)?;
    Ok(match types {
        Some(types) => arguments.to_bytes_with_types(&env, &types)?,
        None => arguments.to_bytes()?,
    })
}

/// The results of `method` as text, in the form that `dfx canister call` prints.
pub fn decode(input: &[u8], method: &str) -> Result<Vec<u8>> {
    let (did, bytes) = split(input)?;
    let (env, service) = load(did)?;
    let results = match find(&env, &service, method) {
        Some(function) => IDLArgs::from_bytes_with_types(bytes, &env, &function.rets)?,
        None => IDLArgs::from_bytes(bytes)?,
    };
    Ok(results.to_string().into_bytes())
}

fn split(input: &[u8]) -> Result<(&str, &[u8])> {
    let end = input
        .iter()
        .position(|byte| *byte == 0)
        .ok_or("no NUL after the interface")?;
    Ok((std::str::from_utf8(&input[..end])?, &input[end + 1..]))
}

fn load(did: &str) -> Result<(TypeEnv, Option<Type>)> {
    let mut env = TypeEnv::new();
    let service = check_prog(&mut env, &did.parse::<IDLProg>()?)?;
    Ok((env, service))
}

fn find(env: &TypeEnv, service: &Option<Type>, method: &str) -> Option<Function> {
    env.get_method(service.as_ref()?, method).ok().cloned()
}

fn init_types(env: &TypeEnv, service: &Option<Type>) -> Option<Vec<Type>> {
    match env.trace_type(service.as_ref()?).ok()?.as_ref() {
        TypeInner::Class(types, _) => Some(types.clone()),
        _ => None,
    }
}
