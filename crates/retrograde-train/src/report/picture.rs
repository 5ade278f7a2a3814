//! Small grey images as PNG in the page itself.
//!
//! Source: W3C, Portable Network Graphics specification, third edition (2025), sections 5 and 11.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

use super::html::base64;
use crate::data::Inputs;

/// A `data:` address of a row that is an image, values from 0 to 1. Ink is dark, as on paper.
pub(crate) fn of_row(inputs: &Inputs, (height, width): (usize, usize), row: usize) -> String {
    let pixel = |value: &f32| 255 - (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    png(height, width, &inputs.row(row).iter().map(pixel).collect::<Vec<_>>())
}

/// A `data:` address of the image, one byte per pixel, white first.
fn png(height: usize, width: usize, pixels: &[u8]) -> String {
    let mut lines = ZlibEncoder::new(vec![], Compression::default());
    for line in pixels.chunks(width.max(1)).take(height) {
        // Filter 0: none. Writing to memory cannot fail.
        let _ = lines.write_all(&[0]).and_then(|()| lines.write_all(line));
    }
    let data = lines.finish().unwrap_or_default();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let [height, width] = [height, width].map(|size| u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    // 8 bits, grey, deflate, adaptive filters, not interlaced.
    chunk(&mut file, b"IHDR", &[&width[..], &height, &[8, 0, 0, 0, 0]].concat());
    chunk(&mut file, b"IDAT", &data);
    chunk(&mut file, b"IEND", &[]);
    format!("data:image/png;base64,{}", base64(&file))
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let checked = [name, data].concat();
    file.extend(&checked);
    file.extend(crc32fast::hash(&checked).to_be_bytes());
}
