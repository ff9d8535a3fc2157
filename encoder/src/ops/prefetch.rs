//! Reading ahead of the reader.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a prefetch takes a pointer"))]

/// Asks for the line of the cache where a slice begins to come into the second cache; it changes nothing but the time of a
/// later read.
#[inline(always)]
pub(super) fn prefetch(line: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and the address is that of a slice.
        unsafe { _mm_prefetch(line.as_ptr().cast::<i8>(), _MM_HINT_T1) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
