//! The client's deadline, from the `grpc-timeout` header of the gRPC-over-HTTP/2 specification.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::limits::MAX_DEADLINE_MARGIN;

/// When an answer stops being of use; `None` when the client did not say or said what cannot be read.
pub(crate) fn deadline(metadata: &MetadataMap) -> Option<Instant> {
    let timeout = parse_timeout(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    let margin = (timeout / 10).min(MAX_DEADLINE_MARGIN);
    Instant::now().checked_add(timeout - margin)
}

/// One to eight digits and a unit.
fn parse_timeout(header: &str) -> Option<Duration> {
    let unit = header.chars().last().filter(char::is_ascii)?;
    let digits = &header[..header.len() - 1];
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_header_is_read_in_every_unit() {
        assert_eq!(parse_timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse_timeout("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse_timeout("50m"), Some(Duration::from_millis(50)));
        assert_eq!(parse_timeout("60u"), Some(Duration::from_micros(60)));
        assert_eq!(parse_timeout("70n"), Some(Duration::from_nanos(70)));
    }

    #[test]
    fn malformed_timeout_header_means_no_deadline() {
        for header in ["", "S", "1", "-1S", "+1S", "1.5S", "123456789S", "1é", "1x"] {
            assert_eq!(parse_timeout(header), None, "{header}");
        }
    }
}
