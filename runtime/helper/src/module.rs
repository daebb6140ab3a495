//! Checks a module by the replica's rules, and adds what the runtime needs to meter it and to save its state.
//!
//! The rules are from "WebAssembly module requirements" in the IC interface specification, and the sentences from
//! rs/embedders/src/wasm_utils/validation.rs in the replica. The Python code checks imports and exports.

use crate::Result;
use crate::meter::Meter;
use std::collections::HashMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, Module};
use wasm_encoder::{RawSection, ValType};
use wasmparser::{ExternalKind, KnownCustom, Name, NameSectionReader, Parser, Payload, RefType};
use wasmparser::{ValType as Type, Validator, WasmFeatures};

const FEATURES: WasmFeatures = WasmFeatures::WASM2.union(WasmFeatures::MEMORY64).union(WasmFeatures::TAIL_CALL);
const PREFIX: &str = "runtime ";

/// Return the module with metering and more exports, or the replica's reason to refuse it.
///
/// The output starts with a line for each imported function, then for each exported function, with its parameters and
/// results. A NUL, the custom section `candid:service`, another NUL and the module follow. The added exports are:
///
/// - `memory`, `table` and `global N` for each mutable global;
/// - `counter`: the global with the instructions that are left;
/// - `pages`: the global with the heap limit in pages. `memory.grow` traps past this limit.
///
/// Their names begin with `PREFIX`.
pub fn prepare(wasm: &[u8]) -> Result<Vec<u8>> {
    let valid = Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|error| {
        format!("Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with {error}")
    })?;
    let valid = valid.as_ref();
    let memory = (valid.memory_count() > 0).then(|| valid.memory_at(0));
    let counter = valid.global_count();
    let meter = Meter { counter, wide: memory.is_some_and(|memory| memory.memory64) };
    let (mut globals, mut exports, mut code) = (GlobalSection::new(), ExportSection::new(), CodeSection::new());
    let (mut sections, mut exported) = (HashMap::new(), Vec::new());
    let (mut defined, mut did) = (0, String::new());
    let copy = &mut RoundtripReencoder;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        sections.extend(payload.as_section());
        match payload {
            Payload::FunctionSection(reader) => defined = reader.count(),
            Payload::GlobalSection(reader) => copy.parse_global_section(&mut globals, reader)?,
            Payload::ExportSection(reader) => {
                for item in reader.clone() {
                    let item = item?;
                    ensure!(!item.name.starts_with(PREFIX), "not provided: exports whose names begin with {PREFIX}");
                    exported.extend((item.kind == ExternalKind::Func).then_some(item.index));
                }
                copy.parse_export_section(&mut exports, reader)?;
            }
            Payload::StartSection { .. } => return Err("not provided: a start function".into()),
            Payload::CodeSectionEntry(body) => meter.add_to(&body, &mut code)?,
            Payload::CustomSection(section) => match (section.as_known(), section.name()) {
                (KnownCustom::Name(reader), _) => check_names(reader)?,
                (_, "icp:public candid:service" | "icp:private candid:service") => {
                    did = String::from_utf8_lossy(section.data()).replace('\0', "");
                }
                _ => {}
            },
            _ => {}
        }
    }

    let imported = 0..valid.function_count() - defined;
    let signatures = imported.chain(exported).map(|function| {
        let ty = valid[valid.core_function_at(function)].unwrap_func();
        format!("{:?}\t{:?}\n", ty.params(), ty.results())
    });
    let mut export = |name: &str, kind, index| {
        exports.export(&format!("{PREFIX}{name}"), kind, index);
    };
    if memory.is_some() {
        export("memory", ExportKind::Memory, 0);
    }
    if valid.table_count() > 0 && valid.table_at(0).element_type == RefType::FUNCREF {
        export("table", ExportKind::Table, 0);
    }
    for index in 0..counter {
        let ty = valid.global_at(index);
        let kind = ty.content_type;
        ensure!(!kind.is_reference_type(), "not provided: globals with references");
        ensure!(!ty.mutable || kind != Type::V128, "not provided: mutable globals of type v128");
        if ty.mutable {
            export(&format!("global {index}"), ExportKind::Global, index);
        }
    }
    for (index, name) in (counter..).zip(["counter", "size", "pages"]) {
        export(name, ExportKind::Global, index);
        let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i64_const(0));
    }

    let mut module = Module::new();
    // These are the numbers of the sections, in their order in a module.
    for id in [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11] {
        match (id, sections.get(&id)) {
            (6, _) => module.section(&globals),
            (7, _) => module.section(&exports),
            (10, _) => module.section(&code),
            (_, Some(range)) => {
                module.section(&RawSection { id, data: &wasm[range.start as usize..range.end as usize] })
            }
            (_, None) => &mut module,
        };
    }
    Ok([signatures.collect::<String>().as_bytes(), b"\0", did.as_bytes(), b"\0", &module.finish()].concat())
}

/// Check the names of functions.
fn check_names(reader: NameSectionReader) -> Result<()> {
    for subsection in reader {
        if let Name::Function(functions) = subsection? {
            functions.into_iter().try_for_each(|name| name.map(drop))?;
        }
    }
    Ok(())
}
