//! Lines and columns of places in a text. <https://hl7.org/fhir/R4/operationoutcome.html>

/// Goes through a text once, from place to place, however long its lines are.
#[derive(Debug)]
pub struct Places<'s> {
    rest: &'s [u8],
    at: usize,
    line: u32,
    column: u32,
}

impl<'s> Places<'s> {
    pub fn new(source: &'s str) -> Self {
        Self {
            rest: source.as_bytes(),
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// Line and column (both from 1, columns in characters) of a byte offset that is not before the last one asked for.
    pub fn of(&mut self, at: u32) -> (u32, u32) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let step = at.saturating_sub(self.at).min(self.rest.len());
        let (passed, rest) = self.rest.split_at(step);
        for byte in passed {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else if *byte & 0xC0 != 0x80 {
                // A continuation byte of UTF-8 is 10xxxxxx: it starts no character.
                self.column = self.column.saturating_add(1);
            }
        }
        self.rest = rest;
        self.at += step;
        (self.line, self.column)
    }
}
