//! Hashes that are the same on every node, in every build and in both databases: they are stored.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED: u64 = 0x243F_6A88_85A3_08D3;

/// Never 0, which stands for "none" wherever a hash is stored. Fits a signed 64-bit column.
pub(crate) fn long(text: &str) -> i64 {
    i64::try_from(mix(text.as_bytes()) >> 1).unwrap_or(1).max(1)
}

/// Never 0, never negative: for keys of which there are few, and whose owners check that no two collide.
pub(crate) fn short(text: &str) -> i32 {
    i32::try_from(mix(text.as_bytes()) >> 33)
        .unwrap_or(1)
        .max(1)
}

/// Eight bytes at a time, each mixed by a multiplication whose both halves count.
fn mix(bytes: &[u8]) -> u64 {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut state = SEED ^ length.wrapping_mul(MULTIPLIER);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in chunks.by_ref() {
        let word = <[u8; 8]>::try_from(chunk).map_or(0, u64::from_le_bytes);
        state = fold(state ^ word);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = fold(state ^ word);
    }
    fold(state ^ MULTIPLIER)
}

fn fold(word: u64) -> u64 {
    let product = u128::from(word ^ SEED) * u128::from(MULTIPLIER);
    let bytes = product.to_le_bytes();
    let half = |index: usize| {
        let half = bytes.get(index..index + 8);
        half.and_then(|half| half.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    half(0) ^ half(8) ^ word.rotate_left(23)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Stored rows would be lost if these changed.
    #[test]
    fn hashes_never_change() {
        assert_eq!(long("http://loinc.org"), LOINC);
        assert_eq!(short("Observation.code"), CODE);
        assert!(long("") > 0 && short("") > 0);
    }
    const LOINC: i64 = 8_279_352_507_005_375_380;
    const CODE: i32 = 805_184_338;

    #[test]
    fn similar_texts_differ() {
        let texts = (0..100_000).map(|n| format!("http://example.org/fhir/{n}"));
        let hashes: HashSet<i64> = texts.map(|text| long(&text)).collect();
        assert_eq!(hashes.len(), 100_000);
        let zeroes = (0..64).map(|n| long(&"\0".repeat(n)));
        assert_eq!(zeroes.collect::<HashSet<_>>().len(), 64);
        let bits = (0..64_000).map(|n| short(&format!("{n}")));
        let high = bits.filter(|hash| hash >> 30 == 1).count();
        assert!((31_000..33_000).contains(&high), "{high}");
    }
}
