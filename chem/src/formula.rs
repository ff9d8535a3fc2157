//! Counting elements in a formula, as `Properties::formula` writes it.

/// Symbols by atomic number.
const SYMBOLS: &str = "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr \
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os \
    Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc \
    Lv Ts Og";

/// Whether this is the symbol of an element, in its own capitals (`Cl`).
pub fn is_element(symbol: &str) -> bool {
    SYMBOLS.split_ascii_whitespace().any(|known| known == symbol)
}

/// How many atoms of an element a formula has, hydrogens included; 0 where it is not named.
///
/// ```
/// assert_eq!(moiety_chem::element_count("C6H5ClNO-", "C"), 6);
/// assert_eq!(moiety_chem::element_count("C6H5ClNO-", "Cl"), 1);
/// assert_eq!(moiety_chem::element_count("C6H5ClNO-", "Br"), 0);
/// ```
pub fn element_count(formula: &str, symbol: &str) -> u32 {
    let mut rest = formula;
    // The charge comes last.
    while rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*') {
        let end = rest[1..].find(|c: char| !c.is_ascii_lowercase()).map_or(rest.len(), |i| i + 1);
        let (name, after) = rest.split_at(end);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (count, after) = after.split_at(digits);
        if name == symbol {
            return if count.is_empty() { 1 } else { count.parse().unwrap_or(u32::MAX) };
        }
        rest = after;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_stop_at_the_charge_and_tell_symbols_apart() {
        assert_eq!(element_count("CoC12H22N4O8+2", "C"), 12);
        assert_eq!(element_count("CoC12H22N4O8+2", "Co"), 1);
        assert_eq!(element_count("", "C"), 0);
        assert!(is_element("Co") && !is_element("CO") && !is_element("") && is_element("Og"));
        assert_eq!(SYMBOLS.split_ascii_whitespace().count(), 118);
    }

    proptest! {
        #[test]
        fn any_text_is_counted_without_panic(text in ".{0,30}", symbol in "[A-Z][a-z]?") {
            let _ = element_count(&text, &symbol);
        }
    }
}
