//! Metering: code that counts instructions as the replica does, added to a module.
//!
//! The replica's count is a sum of prices, not of instructions: see [`price`]. A basic block is charged when it is entered,
//! a bulk operation also for each byte. The rules and prices are those of `rs/embedders/src/wasm_utils/instrumentation.rs`
//! in the replica.

use crate::Result;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, Function, GlobalSection, GlobalType, ValType,
};
use wasmparser::{FunctionBody, Operator};

/// More than any limit of instructions.
const MOST: i64 = 1 << 62;

/// How the code of one module is metered.
pub struct Meter {
    /// Index of the global that holds how many instructions are left. It is negative after code that wanted more.
    pub counter: u32,
    /// Whether the memory has 64-bit addresses.
    pub wide: bool,
}

impl Meter {
    /// Define the two globals that the added code uses, at the end of the module's globals.
    pub fn define_globals(&self, globals: &mut GlobalSection) {
        let ty = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        for _ in 0..2 {
            globals.global(ty, &ConstExpr::i64_const(0));
        }
    }

    /// Add a function to the code, counting what it takes.
    pub fn add_to(&self, body: &FunctionBody, code: &mut CodeSection) -> Result<()> {
        let mut function = RoundtripReencoder.new_function_with_parsed_locals(body)?;
        let mut operators = Vec::new();
        let (mut sum, mut repeats) = (1, true); // Each call takes one more.
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            sum += price(&operator, self.wide);
            let next = ends_block(&operator);
            operators.push(operator);
            if let Some(next) = next {
                self.write_block(&mut function, &operators, sum, repeats)?;
                operators.clear();
                (sum, repeats) = (0, next);
            }
        }
        code.function(&function);
        Ok(())
    }

    /// Write a basic block, which is instructions of which all run if the first does, after code that charges for it. With
    /// `repeats`, that code also traps if nothing is left.
    fn write_block(
        &self,
        function: &mut Function,
        operators: &[Operator],
        sum: i64,
        repeats: bool,
    ) -> Result<()> {
        if sum > 0 {
            let mut code = function.instructions();
            code.global_get(self.counter)
                .i64_const(sum)
                .i64_sub()
                .global_set(self.counter);
        }
        if repeats {
            self.check(function);
        }
        for operator in operators {
            match operator {
                Operator::MemoryInit { .. } => self.charge(function, false),
                Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
                    self.charge(function, self.wide)
                }
                _ => {}
            }
            function.instruction(&RoundtripReencoder.instruction(operator.clone())?);
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
        code.global_set(size).global_get(counter);
        // At most MOST, so that the difference does not wrap around.
        code.global_get(size).i64_const(MOST).global_get(size);
        code.i64_const(MOST).i64_lt_u().select();
        code.i64_sub().global_set(counter);
        self.check(function);
        let mut code = function.instructions();
        code.global_get(size);
        if !wide {
            code.i32_wrap_i64();
        }
    }

    /// Trap if nothing is left.
    fn check(&self, function: &mut Function) {
        let mut code = function.instructions();
        code.global_get(self.counter)
            .i64_const(0)
            .i64_lt_s()
            .if_(BlockType::Empty)
            .unreachable()
            .end();
    }
}

/// Whether a block begins after this instruction, and if so, whether that block can be entered again.
fn ends_block(operator: &Operator) -> Option<bool> {
    use Operator::*;
    match operator {
        Loop { .. } => Some(true),
        If { .. }
        | Else
        | End
        | Br { .. }
        | BrIf { .. }
        | BrTable { .. }
        | Return
        | Unreachable => Some(false),
        ReturnCall { .. } | ReturnCallIndirect { .. } => Some(false),
        _ => None,
    }
}

macro_rules! prices {
    ($operator:ident: $($price:expr => $($name:ident)*;)*) => {
        match $operator { $($(Operator::$name { .. })|* => $price,)* _ => 1 }
    };
}

/// What the replica charges for an instruction, without the bytes of a bulk operation. `wide`: on wasm64.
fn price(operator: &Operator, wide: bool) -> i64 {
    let access = if wide { 2 } else { 1 };
    prices! { operator:
        0 => Block Else End Loop;
        access => I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U I64Load8S I64Load8U
            I64Load16S I64Load16U I64Load32S I64Load32U I32Store I64Store F32Store F64Store I32Store8 I32Store16
            I64Store8 I64Store16 I64Store32 V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U
            V128Load32x2S V128Load32x2U V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat
            V128Load32Zero V128Load64Zero V128Store V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane
            V128Store8Lane V128Store16Lane V128Store32Lane V128Store64Lane;
        2 => F32Add F32Sub F32Mul F32Ceil F32Floor F32Trunc F32Nearest F64Add F64Sub F64Mul F64Ceil F64Floor
            F64Trunc F64Nearest F32Copysign GlobalGet GlobalSet If Br BrIf BrTable I8x16LtU I8x16GtU I16x8LtU
            I16x8GtU I32x4LtU I32x4GtU I8x16ShrU I16x8ExtAddPairwiseI8x16U I16x8Shl I16x8ShrS I16x8ShrU
            I16x8ExtMulHighI8x16S I16x8ExtMulHighI8x16U I32x4Shl I32x4ShrS I32x4ShrU I32x4Mul I32x4ExtMulLowI16x8S
            I32x4ExtMulHighI16x8S I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8U I64x2Shl I64x2ShrU F32x4Ceil F32x4Floor
            F32x4Trunc F32x4Nearest F32x4Abs F32x4Neg F32x4Add F32x4Sub F32x4Mul F64x2Ceil F64x2Floor F64x2Trunc
            F64x2Nearest F64x2Abs F64x2Neg F64x2Add F64x2Sub F64x2Mul I32x4TruncSatF32x4S I32x4TruncSatF64x2SZero;
        3 => F32Div F64Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge
            F32ConvertI32S F64ConvertI64S F32ConvertI64S F64ConvertI32S ReturnCall I8x16Shuffle I8x16Popcnt I8x16Shl
            I8x16ShrS I32x4ExtAddPairwiseI16x8U I64x2ShrS I32x4TruncSatF64x2UZero;
        4 => I64x2Mul F32x4Min F32x4Max F64x2Min I32x4TruncSatF32x4U F32x4ConvertI32x4U;
        5 => F64Div F32Sqrt TableGet TableSet Call RefIsNull F32x4Sqrt F64x2Max;
        8 => F64Sqrt;
        10 => I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU CallIndirect F32x4Div;
        12 => F64x2Div;
        14 => F64x2Sqrt;
        16 => F64ConvertI32U F32ConvertI64U F32ConvertI32U F64ConvertI64U;
        18 => F32Min F32Max F64Min F64Max;
        20 => I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U I32TruncSatF32S I32TruncSatF32U
            I32TruncSatF64S I32TruncSatF64U I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U I64TruncF32S
            I64TruncF32U I64TruncF64S I64TruncF64U MemorySize;
        60 => ReturnCallIndirect;
        100 => TableSize MemoryFill MemoryCopy TableFill TableCopy MemoryInit TableInit;
        130 => RefFunc;
        300 => TableGrow MemoryGrow DataDrop ElemDrop;
    }
}
