//! Moments in RFC 3339, as microseconds since 1970 in UTC.

const DAY: i64 = 86_400;

/// Reads `2024-02-29T12:00:00.5+01:00`, or a date alone for its first moment in UTC.
///
/// Digits beyond the microsecond are dropped; a leap second is the first moment after it.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let date = bytes.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let days = days(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
    match bytes.get(10) {
        None => Some(days * DAY * 1_000_000),
        Some(b'T' | b't' | b' ') => {
            let (seconds, micros) = time_of_day(&bytes[11..])?;
            Some((days * DAY + seconds) * 1_000_000 + micros)
        }
        Some(_) => None,
    }
}

/// Seconds since midnight in UTC, and microseconds, of `12:00:00.5+01:00`.
fn time_of_day(bytes: &[u8]) -> Option<(i64, i64)> {
    let clock = bytes.get(..8)?;
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute) = (number(&clock[..2])?, number(&clock[3..5])?);
    let second = number(&clock[6..])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(&bytes[8..])?;
    Some((hour * 3600 + minute * 60 + second - offset(zone)?, micros))
}

/// Microseconds of `.5…`, and what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let (digits, zone) = rest.split_at(digits);
    let six = (0..6).map(|at| digits.get(at).map_or(0, |digit| i64::from(digit - b'0')));
    Some((six.fold(0, |micros, digit| micros * 10 + digit), zone))
}

/// Seconds that the zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let seconds = hours * 3600 + minutes * 60;
            let valid = hours < 24 && minutes < 60;
            valid.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Days since 1970-01-01 in the Gregorian calendar, by counting 400-year eras that begin in March
/// (Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_counted_from_1970_in_utc() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-03-01T00:00:00z", 951_868_800_000_000),
            ("2024-02-29 12:00:00.5-00:30", 1_709_209_800_500_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:60Z", 253_402_300_800_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        let wrong = [
            "",
            "1970",
            "1970-1-1",
            "1970-13-01",
            "2023-02-29",
            "1970-01-01T",
            "1970-01-01T00:00:00",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01Z",
            "été0-01-01",
        ];
        assert!(wrong.iter().all(|text| micros(text).is_none()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}", near in "[0-9T:Z+. -]{8,32}") {
            let _ = (micros(&text), micros(&near));
        }

        #[test]
        fn later_days_are_larger(a in 0i64..9999, b in 1i64..=12, c in 1i64..=28) {
            let day = micros(&format!("{a:04}-{b:02}-{c:02}")).unwrap();
            let evening = micros(&format!("{a:04}-{b:02}-{c:02}T23:59:59Z")).unwrap();
            prop_assert_eq!(evening - day, (DAY - 1) * 1_000_000);
            prop_assert_eq!(day % (DAY * 1_000_000), 0);
        }
    }
}
