//! Adds code to a module that counts instructions as the replica does.
//!
//! The count is a sum of the prices in prices.tsv. A module pays for a basic block when it enters the block, and for each byte of a
//! bulk operation. The rules and prices are from rs/embedders/src/wasm_utils/instrumentation.rs in the replica.

use crate::Result;
use std::collections::HashMap;
use std::sync::LazyLock;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, CodeSection, Function};
use wasmparser::{FunctionBody, Operator};

/// Meters the code of one module.
pub struct Meter {
    /// The index of the first added global, with the instructions that are left. It is negative if the code needs more.
    /// The next global stores a size for a moment. The third global is the heap limit in pages.
    pub counter: u32,
    /// Whether the memory has 64-bit addresses.
    pub wide: bool,
}

impl Meter {
    /// Add a function to the code, with instructions that count its price.
    pub fn add_to(&self, body: &FunctionBody, code: &mut CodeSection) -> Result<()> {
        let mut function = RoundtripReencoder.new_function_with_parsed_locals(body)?;
        let mut operators = Vec::new();
        let mut sum = 1; // Each call costs one more instruction.
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            let name = name(&operator);
            let refusal = || format!("Wasm module contains a function with unsupported instruction {name}.");
            sum += PRICES.get(name).ok_or_else(refusal)?[usize::from(self.wide)];
            let is_last = ends_block(&operator);
            operators.push(operator);
            if is_last {
                self.write_block(&mut function, &operators, sum)?;
                operators.clear();
                sum = 0;
            }
        }
        code.function(&function);
        Ok(())
    }

    /// Write a basic block after code that charges for the whole block and traps if nothing is left.
    fn write_block(&self, function: &mut Function, operators: &[Operator], sum: i64) -> Result<()> {
        if sum > 0 {
            let mut code = function.instructions();
            code.global_get(self.counter).i64_const(sum).i64_sub().global_set(self.counter);
            self.check_counter(function);
        }
        for operator in operators {
            match operator {
                Operator::MemoryInit { .. } => self.charge(function, false),
                Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => self.charge(function, self.wide),
                _ => {}
            }
            function.instruction(&RoundtripReencoder.instruction(operator.clone())?);
            if let Operator::MemoryGrow { .. } = operator {
                let mut code = function.instructions();
                code.memory_size(0);
                if !self.wide {
                    code.i64_extend_i32_u();
                }
                code.global_get(self.counter + 2).i64_gt_u().if_(BlockType::Empty).unreachable().end();
            }
        }
        Ok(())
    }

    /// Charge for the size on top of the stack, in bytes, and leave it there.
    fn charge(&self, function: &mut Function, wide: bool) {
        let (counter, size) = (self.counter, self.counter + 1);
        let mut code = function.instructions();
        if !wide {
            code.i64_extend_i32_u();
        }
        code.global_set(size).global_get(counter).global_get(size).i64_sub().global_set(counter);
        self.check_counter(function);
        let mut code = function.instructions();
        code.global_get(size);
        if !wide {
            code.i32_wrap_i64();
        }
    }

    /// Trap if no instructions are left.
    fn check_counter(&self, function: &mut Function) {
        let mut code = function.instructions();
        code.global_get(self.counter).i64_const(0).i64_lt_s().if_(BlockType::Empty).unreachable().end();
    }
}

/// Return whether a new block begins after this instruction.
fn ends_block(operator: &Operator) -> bool {
    use Operator::*;
    matches!(operator, Loop { .. } | If { .. } | Else | End | Br { .. } | BrIf { .. } | BrTable { .. } | Return)
        || matches!(operator, Unreachable | ReturnCall { .. } | ReturnCallIndirect { .. })
}

/// The replica's prices on wasm32 and wasm64, without the bytes of a bulk operation, by the names of wasmparser.
static PRICES: LazyLock<HashMap<&str, [i64; 2]>> = LazyLock::new(|| {
    let mut prices = HashMap::new();
    for row in include_str!("prices.tsv").lines().skip(2) {
        let columns: Vec<_> = row.split('\t').collect();
        let price = [0, 1].map(|column: usize| columns[column].parse().expect("a price"));
        prices.extend(columns[2].split(' ').map(|name| (name, price)));
    }
    prices
});

fn name(operator: &Operator) -> &'static str {
    macro_rules! names {
        ($(@$proposal:ident $name:ident $({ $($argument:ident: $ty:ty),* })? => $visit:ident ($($rest:tt)*))*) => {
            match operator { $(Operator::$name { .. } => stringify!($name),)* _ => "" }
        };
    }
    wasmparser::for_each_operator!(names)
}
