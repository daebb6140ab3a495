//! What `tools/canister.py` leaves to the official crates: Candid text and Wasm validation.
//!
//! Every command reads standard input and writes standard output, so that no argument is ever too long:
//!
//! | command           | input                      | output                                          |
//! |-------------------|----------------------------|-------------------------------------------------|
//! | `encode [METHOD]` | .did, NUL, arguments' text | Candid; typed as METHOD's or init's arguments   |
//! | `decode METHOD`   | .did, NUL, Candid          | text; typed and named as METHOD's results       |
//! | `equal`           | .did, NUL, .did            | nothing; a difference is a failure              |
//! | `prepare PAGES`   | module                     | module to embed; at most PAGES of 64-bit memory |
//! | `interface`       | module                     | its `candid:service` section, maybe nothing     |
//!
//! An empty .did, or a METHOD that it lacks, leaves the values untyped. A failure is one reason on standard error.

mod candid;
mod meter;
mod module;

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn run(arguments: &[&str]) -> Result<Vec<u8>> {
    let mut input = Vec::new();
    stdin().read_to_end(&mut input)?;
    match arguments {
        ["encode"] => candid::encode(&input, None),
        ["encode", method] => candid::encode(&input, Some(method)),
        ["decode", method] => candid::decode(&input, method),
        ["prepare", pages] => module::prepare(&input, pages.parse()?),
        ["interface"] => module::interface(&input),
        _ => Err(
            "usage: canister-native encode [METHOD] | decode METHOD | prepare PAGES | interface"
                .into(),
        ),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).and_then(|output| Ok(stdout().write_all(&output)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
