//! When a failed delivery is tried again. <https://www.standardwebhooks.com>

use std::time::Duration;

use crate::limits;

/// How long to wait after so many failed attempts; None: it was tried often enough. `chance` spreads those that failed
/// together: 0 to 255.
pub fn pause(
    attempts_s: &[u64],
    failed: u32,
    retry_after: Option<Duration>,
    chance: u8,
) -> Option<Duration> {
    let next = usize::try_from(failed).unwrap_or(usize::MAX);
    let planned_ms = attempts_s.get(next)?.saturating_mul(1_000);
    // Up to a fifth more.
    let spread_ms = planned_ms / 5 * u64::from(chance) / 255;
    let planned = Duration::from_millis(planned_ms + spread_ms);
    let wanted = retry_after.unwrap_or_default();
    let most = Duration::from_secs(limits::DELIVERY_RETRY_AFTER_S_MAX);
    Some(planned.max(wanted.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Deliveries;

    /// ten attempts over 75 hours, none left out, spread by a fifth at most.
    #[test]
    fn ten_attempts_in_three_days() {
        let attempts = Deliveries::default().attempts_s;
        let hours = |hours: u64| hours * 3_600;
        let expected = [
            0,
            5,
            300,
            1_800,
            hours(2),
            hours(5),
            hours(10),
            hours(14),
            hours(20),
            hours(24),
        ];
        assert_eq!(attempts, expected);
        for (failed, planned) in expected.iter().enumerate().skip(1) {
            let failed = u32::try_from(failed).unwrap();
            let planned = Duration::from_secs(*planned);
            assert_eq!(pause(&attempts, failed, None, 0), Some(planned));
            assert_eq!(
                pause(&attempts, failed, None, 255),
                Some(planned + planned / 5)
            );
        }
        assert_eq!(pause(&attempts, 10, None, 0), None);
        assert_eq!(pause(&attempts, u32::MAX, None, 0), None);
        let all: u64 = expected.iter().sum();
        assert_eq!(all / 3_600, 75);
    }

    #[test]
    fn a_target_may_ask_for_more_time_but_not_for_ever() {
        let attempts = [0, 5, 300];
        let after = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause(&attempts, 1, after(60), 0), after(60));
        assert_eq!(pause(&attempts, 1, after(1), 0), after(5));
        assert_eq!(pause(&attempts, 1, after(u64::MAX), 0), after(86_400));
        assert_eq!(pause(&attempts, 3, after(1), 0), None);
    }
}
