//! Wasm modules: the replica's rules about their structure, and the form that an embedder can snapshot.
//!
//! The rules are those of "WebAssembly module requirements" in the IC interface specification; the sentences are those of
//! `WasmValidationError` in the replica (rs/types/wasm_types, rs/embedders/src/wasm_utils/validation.rs). Imports and the
//! signatures of exports are not looked at here: `tools/system_api.py` has their table.

use crate::Result;
use crate::meter::Meter;
use std::collections::HashSet;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, GlobalSection, Module, RawSection, Section, SectionId,
};
use wasmparser::{
    ExternalKind, FunctionBody, GlobalType, Operator, Parser, Payload, ValType, Validator,
    WasmFeatures,
};

const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::TAIL_CALL);
const MAX_FUNCTIONS: u32 = 50_000;
const MAX_GLOBALS: u32 = 1_000;
const MAX_CUSTOM_SECTIONS: usize = 16;
const MAX_CUSTOM_BYTES: usize = 1 << 20;
const MAX_FUNCTION_INSTRUCTIONS: usize = 1_000_000;
const COUNTER: &str = "canister counter_instructions";

/// Names that the replica gives to exports of its own.
const RESERVED: [&str; 6] = [
    COUNTER,
    "canister_start",
    "canister counter_dirty_pages",
    "canister counter_accessed_pages",
    "stable_memory",
    "stable_bytemap_memory",
];

/// Refuses what the replica refuses; otherwise returns the same module, metered, with more exports: the instructions
/// that are left as `canister counter_instructions`, its memory as `canister memory`, its first table as `canister table`,
/// its mutable globals as `canister global N`, and its start function as `canister_start`, which instantiation then no
/// longer runs. `max_pages` (64 KiB each) is the highest maximum that a 64-bit memory may declare.
pub fn prepare(wasm: &[u8], max_pages: u64) -> Result<Vec<u8>> {
    let types = Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|error| {
        format!("Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with {error}")
    })?;
    let types = types.as_ref();
    let meter = Meter {
        counter: types.global_count(),
        wide: types.memory_count() > 0 && types.memory_at(0).memory64,
    };
    let mut globals = GlobalSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let mut sections = Vec::new();
    let mut customs = Customs::default();
    let mut function = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        sections.extend(payload.as_section());
        match payload {
            Payload::FunctionSection(reader) => limit(reader.count(), "functions", MAX_FUNCTIONS)?,
            Payload::TableSection(reader) if reader.count() > 0 => {
                exports.export("canister table", ExportKind::Table, 0);
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let memory = memory?;
                    check_maximum(memory.maximum.filter(|_| memory.memory64), max_pages)?;
                    exports.export("canister memory", ExportKind::Memory, 0);
                }
            }
            Payload::GlobalSection(reader) => {
                limit(reader.count(), "globals", MAX_GLOBALS)?;
                RoundtripReencoder.parse_global_section(&mut globals, reader.clone())?;
                for (index, global) in (0..).zip(reader) {
                    let ty = global?.ty;
                    check_global(ty)?;
                    if ty.mutable {
                        exports.export(
                            &format!("canister global {index}"),
                            ExportKind::Global,
                            index,
                        );
                    }
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    if RESERVED.contains(&export.name) {
                        let name = export.name;
                        return Err(invalid(
                            "export",
                            format!("Exporting reserved symbol {name} not allowed."),
                        ));
                    }
                    exports.export(export.name, kind(export.kind), export.index);
                }
            }
            Payload::StartSection { func, .. } => {
                exports.export("canister_start", ExportKind::Func, func);
            }
            Payload::CodeSectionEntry(body) => {
                check_body(function, &body)?;
                meter.add_to(&body, &mut code)?;
                function += 1;
            }
            Payload::CustomSection(section) => customs.check(section.name(), section.data())?,
            _ => {}
        }
    }
    meter.define_globals(&mut globals);
    exports.export(COUNTER, ExportKind::Global, meter.counter);
    Ok(assemble(wasm, sections, &globals, &exports, &code))
}

/// The text of the custom section `candid:service`, public or private, or nothing.
pub fn interface(wasm: &[u8]) -> Result<Vec<u8>> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CustomSection(section) = payload?
            && matches!(
                section.name(),
                "icp:public candid:service" | "icp:private candid:service"
            )
        {
            return Ok(section.data().to_vec());
        }
    }
    Ok(Vec::new())
}

/// The module with other globals, exports and code, and without its start section.
fn assemble(
    wasm: &[u8],
    sections: Vec<(u8, std::ops::Range<u64>)>,
    globals: &GlobalSection,
    exports: &ExportSection,
    code: &CodeSection,
) -> Vec<u8> {
    let mut module = Module::new();
    let mut added = false;
    for (id, range) in sections {
        // Each section that comes after globals and exports has a higher number than they.
        if id >= SectionId::Global as u8 && !added {
            module.section(globals).section(exports);
            added = true;
        }
        if id == SectionId::Code as u8 {
            module.section(code);
        } else if ![globals.id(), exports.id(), SectionId::Start as u8].contains(&id) {
            module.section(&RawSection {
                id,
                data: &wasm[range.start as usize..range.end as usize],
            });
        }
    }
    if !added {
        module.section(globals).section(exports);
    }
    module.finish()
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
        _ => ExportKind::Func,
    }
}

fn invalid(section: &str, reason: String) -> Box<dyn std::error::Error> {
    format!("Wasm module has an invalid {section} section. {reason}").into()
}

fn limit(defined: u32, things: &str, allowed: u32) -> Result<()> {
    if defined > allowed {
        return Err(format!(
            "Wasm module defined {defined} {things} which exceeds the maximum number allowed {allowed}."
        )
        .into());
    }
    Ok(())
}

fn check_maximum(maximum: Option<u64>, max_pages: u64) -> Result<()> {
    match maximum {
        Some(pages) if pages > max_pages => Err(format!(
            "Wasm module declared a memory of at most {pages} pages which exceeds the maximum allowed {max_pages}."
        )
        .into()),
        _ => Ok(()),
    }
}

fn check_global(ty: GlobalType) -> Result<()> {
    match ty.content_type {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 | ValType::V128 => Ok(()),
        other => Err(invalid(
            "global",
            format!("Unsupported global type: {other:?}"),
        )),
    }
}

fn check_body(index: usize, body: &FunctionBody) -> Result<()> {
    let mut size = 0;
    for operator in body.get_operators_reader()? {
        size += 1;
        let instruction = match operator? {
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableSet { .. } => "table.set",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            _ => continue,
        };
        return Err(format!(
            "Wasm module contains a function at index {index} with unsupported instruction {instruction}."
        )
        .into());
    }
    if size > MAX_FUNCTION_INSTRUCTIONS {
        return Err(format!(
            "Wasm module contains a function at index {index} of size {size} that exceeds the maximum allowed size of \
             {MAX_FUNCTION_INSTRUCTIONS}."
        )
        .into());
    }
    Ok(())
}

#[derive(Default)]
struct Customs<'a> {
    names: HashSet<&'a str>,
    bytes: usize,
}

impl<'a> Customs<'a> {
    fn check(&mut self, name: &'a str, data: &[u8]) -> Result<()> {
        if !name.starts_with("icp:") {
            return Ok(());
        }
        let Some(short) = name
            .strip_prefix("icp:public ")
            .or(name.strip_prefix("icp:private "))
        else {
            return Err(invalid(
                "custom",
                format!(
                    "Invalid custom section: Custom section '{name}' has no public/private scope defined."
                ),
            ));
        };
        self.bytes += short.len() + data.len();
        if !self.names.insert(short) {
            return Err(invalid(
                "custom",
                format!("Invalid custom section: name {short} already exists"),
            ));
        }
        if self.bytes > MAX_CUSTOM_BYTES {
            return Err(invalid(
                "custom",
                format!(
                    "Invalid custom sections: total size of the custom sections exceeds the maximum allowed: size {} \
                     bytes, allowed {MAX_CUSTOM_BYTES} bytes",
                    self.bytes
                ),
            ));
        }
        limit(
            self.names.len() as u32,
            "custom sections",
            MAX_CUSTOM_SECTIONS as u32,
        )
    }
}
