//! The packed form in which definitions travel inside the binary: compressed blocks of JSON and an index over them.
//!
//! Layout: length of the index (u32, little endian), the index, the blocks. The index is compressed text, a line each:
//! `B <offset> <length> <unpacked length>` for a block, then `A <type> <id> <url> <version> <block> <offset> <length>`
//! (tab-separated) for an artifact. A block is unpacked when the first of its artifacts is asked for.

use std::sync::{Arc, OnceLock};

use crate::json::{self, Value};

/// Artifacts share a block until it holds this much: larger packs better, smaller unpacks faster.
const BLOCK_BYTES: usize = 256 * 1024;
const LEVEL: i32 = 19;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the packed definitions are damaged: {0}")]
    Damaged(&'static str),
    #[error("the packed definitions cannot be unpacked")]
    Unpack(#[from] std::io::Error),
}

/// One artifact as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub resource_type: Box<str>,
    pub id: Box<str>,
    pub url: Box<str>,
    pub version: Box<str>,
    block: usize,
    start: usize,
    end: usize,
}

#[derive(Debug)]
struct Block {
    packed: &'static [u8],
    unpacked_len: usize,
    text: OnceLock<Arc<[u8]>>,
}

/// Definitions in packed form; nothing but the index is unpacked at first.
#[derive(Debug)]
pub struct Archive {
    entries: Vec<Entry>,
    blocks: Vec<Block>,
}

impl Archive {
    pub fn open(bytes: &'static [u8]) -> Result<Self, ArchiveError> {
        let damaged = ArchiveError::Damaged;
        let (length, rest) = bytes
            .split_first_chunk::<4>()
            .ok_or(damaged("no index length"))?;
        let length =
            usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged("index length"))?;
        let (index, packed) = rest
            .split_at_checked(length)
            .ok_or(damaged("index too short"))?;
        let index = String::from_utf8(zstd::decode_all(index)?)
            .map_err(|_| damaged("index is not text"))?;
        let mut archive = Self {
            entries: Vec::new(),
            blocks: Vec::new(),
        };
        for line in index.lines() {
            archive
                .index_line(line, packed)
                .ok_or(damaged("index line"))?;
        }
        Ok(archive)
    }

    fn index_line(&mut self, line: &str, packed: &'static [u8]) -> Option<()> {
        let mut fields = line.split('\t');
        match fields.next()? {
            "B" => {
                let start: usize = fields.next()?.parse().ok()?;
                let length: usize = fields.next()?.parse().ok()?;
                self.blocks.push(Block {
                    packed: packed.get(start..start.checked_add(length)?)?,
                    unpacked_len: fields.next()?.parse().ok()?,
                    text: OnceLock::new(),
                });
            }
            "A" => {
                let mut text = || fields.next().map(Box::<str>::from);
                let (resource_type, id, url, version) = (text()?, text()?, text()?, text()?);
                let block = fields.next()?.parse().ok()?;
                let start: usize = fields.next()?.parse().ok()?;
                let length: usize = fields.next()?.parse().ok()?;
                self.entries.push(Entry {
                    resource_type,
                    id,
                    url,
                    version,
                    block,
                    start,
                    end: start.checked_add(length)?,
                });
            }
            _ => return None,
        }
        Some(())
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The JSON text of an artifact.
    pub fn text(&self, entry: &Entry) -> Result<Vec<u8>, ArchiveError> {
        let block = self
            .blocks
            .get(entry.block)
            .ok_or(ArchiveError::Damaged("no such block"))?;
        let text = match block.text.get() {
            Some(text) => text,
            None => {
                let unpacked = zstd::bulk::decompress(block.packed, block.unpacked_len)?;
                block.text.get_or_init(|| unpacked.into())
            }
        };
        text.get(entry.start..entry.end)
            .map(<[u8]>::to_vec)
            .ok_or(ArchiveError::Damaged("artifact outside its block"))
    }

    pub fn value(&self, entry: &Entry) -> Result<Value, ArchiveError> {
        json::parse(&self.text(entry)?).map_err(|_| ArchiveError::Damaged("artifact is not JSON"))
    }
}

/// Packs artifacts in the order given; used by the generator.
pub fn pack(artifacts: &[Value]) -> Result<Vec<u8>, ArchiveError> {
    let mut index = (String::new(), String::new());
    let mut packed = Vec::new();
    let mut block = String::new();
    let mut blocks = 0;
    let mut close = |block: &mut String, blocks_index: &mut String| -> Result<(), ArchiveError> {
        let bytes = zstd::bulk::compress(block.as_bytes(), LEVEL)?;
        blocks_index.push_str(&format!(
            "B\t{}\t{}\t{}\n",
            packed.len(),
            bytes.len(),
            block.len()
        ));
        packed.extend(bytes);
        block.clear();
        Ok(())
    };
    for artifact in artifacts {
        let start = block.len();
        artifact.write_to(&mut block);
        let text = |name: &str| artifact.str_of(name).unwrap_or_default();
        index.1.push_str(&format!(
            "A\t{}\t{}\t{}\t{}\t{blocks}\t{start}\t{}\n",
            text("resourceType"),
            text("id"),
            text("url"),
            text("version"),
            block.len() - start
        ));
        if block.len() >= BLOCK_BYTES {
            close(&mut block, &mut index.0)?;
            blocks += 1;
        }
    }
    if !block.is_empty() {
        close(&mut block, &mut index.0)?;
    }
    let index = zstd::bulk::compress((index.0 + &index.1).as_bytes(), LEVEL)?;
    let length = u32::try_from(index.len()).map_err(|_| ArchiveError::Damaged("index too long"))?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(index);
    bytes.extend(packed);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let text = |n: usize| {
            format!(
                "{{\"resourceType\":\"ValueSet\",\"id\":\"v{n}\",\"url\":\"http://x/{n}\",\"pad\":\"{}\"}}",
                "x".repeat(99_999)
            )
        };
        let artifacts: Vec<Value> = (0..9)
            .map(|n| json::parse(text(n).as_bytes()).unwrap())
            .collect();
        let archive = Archive::open(pack(&artifacts).unwrap().leak()).unwrap();
        assert_eq!(archive.entries().len(), 9);
        assert!(archive.blocks.len() > 1);
        for (entry, artifact) in archive.entries().iter().zip(&artifacts) {
            assert_eq!(entry.url.as_ref(), artifact.str_of("url").unwrap());
            assert_eq!(&archive.value(entry).unwrap(), artifact);
        }
        assert!(Archive::open(b"abc").is_err());
        assert!(Archive::open(&[9, 0, 0, 0, 1]).is_err());
    }
}
