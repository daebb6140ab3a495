//! The helper of the runtime. It converts Candid text, and validates and meters modules, with the official crates.
//!
//! Every command reads standard input and writes standard output. A failure writes its reason to standard error.
//!
//! | command           | input                | output                                                        |
//! |-------------------|----------------------|---------------------------------------------------------------|
//! | `encode [METHOD]` | .did, NUL, arguments | Candid, with the types of METHOD or init if the .did has them |
//! | `decode METHOD`   | .did, NUL, Candid    | text, with the types of METHOD if the .did has them           |
//! | `prepare`         | module               | see `module::prepare`                                         |

/// Return an error with the formatted reason unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)*) => { if !$condition { return Err(format!($($reason)*).into()); } };
}

mod candid;
mod meter;
mod module;

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut input = Vec::new();
    stdin().read_to_end(&mut input)?;
    let output = match *arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        ["encode", ref method @ ..] => candid::encode(&input, method.first()),
        ["decode", method] => candid::decode(&input, method),
        ["prepare"] => module::prepare(&input),
        _ => Err("usage: encode [METHOD] | decode METHOD | prepare".into()),
    }?;
    Ok(stdout().write_all(&output)?)
}

fn main() {
    if let Err(reason) = run() {
        eprintln!("{reason}");
        std::process::exit(1);
    }
}
