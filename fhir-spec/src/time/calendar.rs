//! The Gregorian calendar, reckoned back to the year 1 as ISO 8601 does.

pub(super) const YEAR_MIN: i64 = 1;
pub(super) const YEAR_MAX: i64 = 9999;

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is the last of its year.
pub(super) fn days_from_date(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days since 1970-01-01; nothing outside the years 1 to 9999.
pub(super) fn date_from_days(days: i64) -> Option<(u16, u8, u8)> {
    let days = days.checked_add(719_468)?;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return None;
    }
    Some((
        u16::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    ))
}

/// The date some months later; a day that the month has not becomes its last day.
pub(super) fn plus_months(year: u16, month: u8, day: u8, months: i64) -> Option<(u16, u8, u8)> {
    let total = (i64::from(year) * 12 + i64::from(month) - 1).checked_add(months)?;
    let year = total.div_euclid(12);
    let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return None;
    }
    Some((
        u16::try_from(year).ok()?,
        month,
        day.min(days_in_month(year, month)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_there_and_back() {
        assert_eq!(days_from_date(1970, 1, 1), 0);
        assert_eq!(days_from_date(2000, 3, 1), 11_017);
        let last = days_from_date(9999, 12, 31);
        let mut day = days_from_date(1, 1, 1);
        while day <= last {
            let (y, m, d) = date_from_days(day).unwrap();
            assert_eq!(days_from_date(i64::from(y), m, d), day);
            day += 13;
        }
        assert_eq!(date_from_days(last + 1), None);
        assert_eq!(date_from_days(i64::MAX), None);
    }

    #[test]
    fn the_last_day_of_a_shorter_month() {
        assert_eq!(plus_months(2016, 1, 31, 1), Some((2016, 2, 29)));
        assert_eq!(plus_months(2016, 2, 29, 12), Some((2017, 2, 28)));
        assert_eq!(plus_months(2016, 1, 1, -1), Some((2015, 12, 1)));
        assert_eq!(plus_months(9999, 12, 1, 1), None);
    }
}
