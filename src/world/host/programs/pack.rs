//! `zstd`, `gzip` and `pigz`: real compression with a checksum at its end, so that what was cut short or damaged is
//! found when it is unpacked.
//!
//! All three write the same format inside; zstd's has a head of its own, so that the one does not take the other's files.

use std::collections::VecDeque;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::{CHUNK, Call, MOMENT, at_rate, once, unknown};
use crate::world::disk::DiskError;
use crate::world::host::{Io, Machine, Process, Slice};

/// What every file of zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// What every file of gzip begins with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

pub(super) fn pack(call: &Call) -> Box<dyn Process> {
    let zstd = call.name() == "zstd";
    match (call.name(), &call.words()[..]) {
        (name, ["--version"]) => {
            let version = match name {
                "zstd" => "*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***\n",
                "pigz" => "pigz 2.6\n",
                _ => "gzip 1.12\n",
            };
            once(move |_, io| {
                io.say(version);
                Slice::Ended(0, MOMENT)
            })
        }
        ("zstd", ["-q", "-T0", "-3", "-c"]) | ("pigz", ["-6", "-c"]) | ("gzip", ["-3", "-c"]) => {
            Box::new(Pack { zstd, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) })
        }
        ("zstd", ["-q", "-d", "-c", word]) | ("gzip", ["-d", "-c", word]) => {
            let word = (*word).to_owned();
            Box::new(Unpack { path: call.path(&word), word, zstd, pieces: None, ending: None })
        }
        _ => unknown(call, &call.words.join(" ")),
    }
}

/// Compresses.
struct Pack {
    zstd: bool,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Process for Pack {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let Some(encoder) = &mut self.encoder else { return Slice::ended(0) };
        let piece: Vec<u8> = io.input.drain(..io.input.len().min(CHUNK)).collect();
        // A `Vec` takes everything.
        let mut written = encoder.write_all(&piece);
        let ended = io.input_ended && io.input.is_empty();
        let mut packed = std::mem::take(encoder.get_mut());
        if ended && let Some(encoder) = self.encoder.take() {
            match encoder.finish() {
                Ok(rest) => packed.extend(rest),
                Err(error) => written = Err(error),
            }
        }
        if let Err(error) = written {
            io.complain(format!("cannot compress: {error}"));
            return Slice::ended(1);
        }
        if !packed.is_empty() && std::mem::take(&mut self.zstd) {
            io.out.extend_from_slice(&ZSTD);
        }
        io.out.extend_from_slice(&packed);
        match (ended, piece.is_empty()) {
            (true, _) => Slice::Ended(0, MOMENT + at_rate(piece.len())),
            (false, true) => Slice::Waiting,
            (false, false) => Slice::Busy(at_rate(piece.len())),
        }
    }
}

/// Decompresses a file, a piece in each slice.
struct Unpack {
    word: String,
    path: String,
    zstd: bool,
    pieces: Option<VecDeque<Vec<u8>>>,
    /// What is said at the end, if it is no good one.
    ending: Option<String>,
}

impl Unpack {
    fn read(&mut self, on: &Machine<'_>) -> VecDeque<Vec<u8>> {
        let word = &self.word;
        let content = match on.read(&self.path) {
            Ok(content) => content,
            Err(error) => {
                self.ending = Some(match (self.zstd, error) {
                    (true, DiskError::Missing) => format!("zstd: can't stat {word} : {error} -- ignored "),
                    (true, error) => format!("zstd: {word}: {error}"),
                    (false, error) => format!("gzip: {word}: {error}"),
                });
                return VecDeque::new();
            }
        };
        let empty = content.is_empty();
        let inside = if self.zstd { content.strip_prefix(&ZSTD) } else { Some(&content[..]) };
        let Some(inside) = inside.filter(|inside| empty || inside.starts_with(&GZIP)) else {
            self.ending = Some(match (self.zstd, empty) {
                (true, true) => format!("zstd: {word}: unexpected end of file "),
                (true, false) => format!("zstd: {word}: unsupported format "),
                (false, _) => format!("\ngzip: {word}: not in gzip format"),
            });
            return VecDeque::new();
        };
        let mut decoder = GzDecoder::new(inside);
        let mut pieces = VecDeque::new();
        loop {
            let mut piece = vec![0; CHUNK];
            match decoder.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => {
                    piece.truncate(length);
                    pieces.push_back(piece);
                }
                Err(error) => {
                    let cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
                    self.ending = Some(match (self.zstd, cut) {
                        (true, true) => format!("{word} : Read error (39) : premature end "),
                        (true, false) => {
                            format!("{word} : Decoding error (36) : Restored data doesn't match checksum ")
                        }
                        (false, true) => format!("\ngzip: {word}: unexpected end of file"),
                        (false, false) => format!("\ngzip: {word}: invalid compressed data--crc error"),
                    });
                    break;
                }
            }
        }
        pieces
    }
}

impl Process for Unpack {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        if self.pieces.is_none() {
            self.pieces = Some(self.read(on));
        }
        let pieces = self.pieces.get_or_insert_default();
        let piece = pieces.pop_front().unwrap_or_default();
        io.out.extend_from_slice(&piece);
        let took = at_rate(piece.len());
        if !pieces.is_empty() {
            return Slice::Busy(took);
        }
        match self.ending.take() {
            Some(words) => {
                io.complain(words);
                Slice::Ended(1, MOMENT + took)
            }
            None => Slice::Ended(0, MOMENT + took),
        }
    }
}
