//! T5: parity with the reference implementation, generation, tokenizers and conversion.

mod convert;
mod generate;
mod golden;
mod parity;
mod tokenizer;
