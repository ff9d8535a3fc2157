//! T5: parity with the reference implementation, generation, tokenizers and conversion.

mod generate;
mod golden;
mod parity;
mod tokenizer;
