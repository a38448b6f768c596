//! Decodes what a kernel built with `defmt` sends over its serial line.
//!
//! The kernel packs the terminal's text into frames without a level, line ends included: those, joined,
//! are the text a plain kernel sends. Frames with a level are what the drivers log; they are shown at once.

use std::path::Path;

use defmt_decoder::{DecodeError, StreamDecoder, Table};

use crate::failure::{Context, Result};
use crate::serial::Decode;

/// A decoder for the kernel in the file `elf`.
pub fn decoder(elf: &Path) -> Result<Decode> {
    let bytes = std::fs::read(elf).context(elf.display())?;
    let table = Table::parse(&bytes)
        .context("defmt table")?
        .context("the kernel has no section .defmt: was it linked with -Tdefmt.x?")?;
    // The decoder borrows the table and lives on the reading thread; there is one of them in a run.
    let table: &'static Table = Box::leak(Box::new(table));
    let (bytes, frames) = std::sync::mpsc::channel::<Vec<u8>>();
    let (text_out, text) = std::sync::mpsc::channel::<Vec<u8>>();
    // The stream decoder cannot change threads, so it gets one of its own.
    std::thread::spawn(move || {
        let mut decoder = table.new_stream_decoder();
        while let Ok(chunk) = frames.recv() {
            decoder.received(&chunk);
            if text_out.send(decode_all(decoder.as_mut())).is_err() {
                break;
            }
        }
    });
    Ok(Box::new(move |chunk| {
        // An ended decoder yields nothing more; the wait for READY then says what was missing.
        if bytes.send(chunk.to_vec()).is_err() {
            return Vec::new();
        }
        text.recv().unwrap_or_default()
    }))
}

fn decode_all(decoder: &mut dyn StreamDecoder) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => match frame.level() {
                None => text.extend_from_slice(frame.display_message().to_string().as_bytes()),
                Some(level) => eprintln!("{:5} {}", level.as_str(), frame.display_message()),
            },
            // What the firmware printed before our first frame; the decoder goes on behind it.
            Err(DecodeError::Malformed) => {}
            Err(DecodeError::UnexpectedEof) => return text,
        }
    }
}
