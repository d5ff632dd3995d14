//! How a file separates its values, told or found out.

/// Where a value ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// At a delimiter, unless it stands in quotes.
    Delimiter {
        delimiter: char,
        quote: Option<char>,
    },
    /// After so many characters; what stands behind the last column belongs to it.
    Widths(Vec<usize>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    pub layout: Layout,
    /// The first row names the columns.
    pub has_header: bool,
    /// A value that says: there is none, delete what you have.
    pub null: Option<String>,
}

impl Dialect {
    pub fn csv() -> Self {
        Self::delimited(',')
    }

    pub fn tsv() -> Self {
        Self::delimited('\t')
    }

    pub fn psv() -> Self {
        Self::delimited('|')
    }

    pub fn delimited(delimiter: char) -> Self {
        Self {
            layout: Layout::Delimiter {
                delimiter,
                quote: Some('"'),
            },
            has_header: true,
            null: None,
        }
    }

    pub fn fixed(widths: Vec<usize>) -> Self {
        Self {
            layout: Layout::Widths(widths),
            has_header: false,
            null: None,
        }
    }

    /// What the first lines look like: the delimiter that divides them all into the same number of parts, and most.
    pub fn detect(sample: &str) -> Self {
        let score = |delimiter: char| {
            let mut counts = records_of(sample)
                .map(|line| count(line, delimiter))
                .take(20);
            let first = counts.next().unwrap_or(0);
            let same = counts.filter(|count| *count == first).count();
            if first == 0 {
                (0, 0)
            } else {
                (same + 1, first)
            }
        };
        let mut best = (',', (0, 0));
        for delimiter in [',', '\t', ';', '|'] {
            let score = score(delimiter);
            if score > best.1 {
                best = (delimiter, score);
            }
        }
        Self::delimited(best.0)
    }
}

/// Lines, those within quotes together.
fn records_of(text: &str) -> impl Iterator<Item = &str> {
    let mut in_quotes = false;
    text.split(move |letter| {
        in_quotes ^= letter == '"';
        letter == '\n' && !in_quotes
    })
    .filter(|line| !line.trim().is_empty())
}

fn count(line: &str, delimiter: char) -> usize {
    let mut in_quotes = false;
    line.chars()
        .filter(|letter| {
            in_quotes ^= *letter == '"';
            *letter == delimiter && !in_quotes
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_out() {
        for (sample, delimiter) in [
            ("a,b,c\n1,2,3\n", ','),
            ("a;b;c\n1,5;2;3\n1,7;2;3\n", ';'),
            ("a\tb\n\"x,y,z\"\t2\n", '\t'),
            ("a|b|c\n1|2|3\n", '|'),
            ("a,b\n\"x\n,y\",2\n", ','),
            ("one\ntwo\n", ','),
            ("", ','),
        ] {
            assert_eq!(
                Dialect::detect(sample),
                Dialect::delimited(delimiter),
                "{sample:?}"
            );
        }
    }
}
