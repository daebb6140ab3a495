//! Checks a module by the replica's rules, and adds what the runtime needs to meter it and to save its state.
//!
//! The rules are those of "WebAssembly module requirements" in the IC interface specification. The sentences are those of
//! rs/embedders/src/wasm_utils/validation.rs in the replica. The Python code checks imports and exports.

use crate::Result;
use crate::meter::Meter;
use std::collections::HashMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection};
use wasm_encoder::{GlobalType, Module, RawSection, TypeSection, ValType};
use wasmparser::{CustomSectionReader, ExternalKind, KnownCustom, Name, Parser, Payload, RefType};
use wasmparser::{ValType as Type, Validator, WasmFeatures};

const FEATURES: WasmFeatures = WasmFeatures::WASM2.union(WasmFeatures::MEMORY64).union(WasmFeatures::TAIL_CALL);
const MAX_CUSTOM_BYTES: usize = 1 << 20;

/// Refuse what the replica refuses, or return the module with metering and more exports.
///
/// Before the module come a line for each imported, then for each exported function, with its parameters and results, a
/// NUL, the custom section `candid:service` and another NUL. The added exports come after the module's own. Their names have a prefix that no name of the module has:
///
/// - `memory`, and `global N` for each mutable global;
/// - `start`: the start function, which instantiation no longer runs;
/// - `callback`: a function that calls an entry of the first table, given its index and the environment;
/// - `pages`: the global with the heap limit in pages, beyond which `memory.grow` traps;
/// - `counter`: the global with the instructions that are left. It is the last export.
///
/// `max_pages` is the highest initial size of a 64-bit memory.
pub fn prepare(wasm: &[u8], max_pages: u64) -> Result<Vec<u8>> {
    let valid = Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|error| {
        format!("Wasmtime failed to validate wasm module wasmtime::Module::validate() failed with {error}")
    })?;
    let valid = valid.as_ref();
    let memory = (valid.memory_count() > 0).then(|| valid.memory_at(0));
    let wide = memory.is_some_and(|memory| memory.memory64);
    let pages = memory.map_or(0, |memory| memory.initial);
    ensure!(
        pages <= max_pages,
        "Wasm module declares an initial Wasm64 heap memory size of {pages} pages which exceeds the maximum allowed size \
         of {max_pages} pages."
    );
    let counter = valid.global_count();
    let meter = Meter { counter, wide };
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut globals, mut exports, mut code) = (GlobalSection::new(), ExportSection::new(), CodeSection::new());
    let mut sections = HashMap::new();
    let mut customs = HashMap::new();
    let mut start = None;
    let mut items = Vec::new();
    let copy = &mut RoundtripReencoder;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        sections.extend(payload.as_section());
        match payload {
            Payload::TypeSection(reader) => copy.parse_type_section(&mut types, reader)?,
            Payload::FunctionSection(reader) => copy.parse_function_section(&mut functions, reader)?,
            Payload::GlobalSection(reader) => copy.parse_global_section(&mut globals, reader)?,
            Payload::ExportSection(reader) => {
                items = reader.clone().into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
                copy.parse_export_section(&mut exports, reader)?;
            }
            Payload::StartSection { func, .. } => start = Some(func),
            Payload::CodeSectionEntry(body) => meter.add_to(&body, &mut code)?,
            Payload::CustomSection(section) => check_custom(&section, &mut customs)?,
            _ => {}
        }
    }

    let imported = 0..valid.function_count() - functions.len();
    let exported = items.iter().filter(|item| item.kind == ExternalKind::Func).map(|item| item.index);
    let mut signatures = String::new();
    for function in imported.chain(exported) {
        let ty = valid[valid.core_function_at(function)].unwrap_func();
        signatures += &format!("{:?}\t{:?}\n", ty.params(), ty.results());
    }
    check_count(functions.len(), "functions", 50_000)?;
    check_count(globals.len(), "globals", 1_000)?;

    let mut prefix = "runtime ".to_string();
    while items.iter().any(|item| item.name.starts_with(&prefix)) {
        prefix.push('+');
    }
    let mut export = |name: &str, kind, index| {
        exports.export(&format!("{prefix}{name}"), kind, index);
    };
    if memory.is_some() {
        export("memory", ExportKind::Memory, 0);
    }
    for index in 0..counter {
        let ty = valid.global_at(index);
        let kind = ty.content_type;
        ensure!(
            !kind.is_reference_type(),
            "Wasm module has an invalid global section. Unsupported global type: {kind:?}"
        );
        ensure!(!ty.mutable || kind != Type::V128, "not provided: mutable globals of type v128");
        if ty.mutable {
            export(&format!("global {index}"), ExportKind::Global, index);
        }
    }
    if let Some(function) = start {
        export("start", ExportKind::Func, function);
    }
    if valid.table_count() > 0 && valid.table_at(0).element_type == RefType::FUNCREF {
        let word = |wide| if wide { ValType::I64 } else { ValType::I32 };
        let (environment, index) = (word(wide), word(valid.table_at(0).table64));
        let callback = types.len();
        types.ty().function([environment], []);
        types.ty().function([index, environment], []);
        functions.function(callback + 1);
        let mut function = Function::new([]);
        function.instructions().local_get(1).local_get(0).call_indirect(0, callback).end();
        code.function(&function);
        export("callback", ExportKind::Func, valid.function_count());
    }
    for _ in 0..3 {
        let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i64_const(0));
    }
    export("pages", ExportKind::Global, counter + 2);
    export("counter", ExportKind::Global, counter);

    let mut module = Module::new();
    // These are the numbers of the sections, in their order in a module. The start section is left out.
    for id in [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11] {
        match (id, sections.get(&id)) {
            (1, _) => module.section(&types),
            (3, _) => module.section(&functions),
            (6, _) => module.section(&globals),
            (7, _) => module.section(&exports),
            (10, _) => module.section(&code),
            (_, Some(range)) => {
                module.section(&RawSection { id, data: &wasm[range.start as usize..range.end as usize] })
            }
            (_, None) => &mut module,
        };
    }
    let interface =
        customs.get("candid:service").map_or("".into(), |data| String::from_utf8_lossy(data).replace('\0', ""));
    Ok([signatures.as_bytes(), b"\0", interface.as_bytes(), b"\0", &module.finish()].concat())
}

fn check_count(defined: u32, things: &str, allowed: u32) -> Result<()> {
    ensure!(
        defined <= allowed,
        "Wasm module defined {defined} {things} which exceeds the maximum number allowed {allowed}."
    );
    Ok(())
}

/// Check a custom section, and add it to those of the Internet Computer that were met so far.
fn check_custom<'a>(section: &CustomSectionReader<'a>, customs: &mut HashMap<&'a str, &'a [u8]>) -> Result<()> {
    if let KnownCustom::Name(reader) = section.as_known() {
        for subsection in reader {
            if let Name::Function(functions) = subsection? {
                functions.into_iter().try_for_each(|name| name.map(drop))?;
            }
        }
    }
    let name = section.name();
    if !name.starts_with("icp:") {
        return Ok(());
    }
    let invalid = "Wasm module has an invalid custom section. Invalid custom section";
    let short = name.strip_prefix("icp:public ").or(name.strip_prefix("icp:private "));
    let short =
        short.ok_or_else(|| format!("{invalid}: Custom section '{name}' has no public/private scope defined."))?;
    ensure!(customs.insert(short, section.data()).is_none(), "{invalid}: name {short} already exists");
    let bytes: usize = customs.iter().map(|(name, data)| name.len() + data.len()).sum();
    ensure!(
        bytes <= MAX_CUSTOM_BYTES,
        "{invalid}s: total size of the custom sections exceeds the maximum allowed: size {bytes} bytes, allowed \
         {MAX_CUSTOM_BYTES} bytes"
    );
    check_count(customs.len() as u32, "custom sections", 16)
}
