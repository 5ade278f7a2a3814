//! Where a run stands, so that it goes on to the same bits: parameters, what the update remembers, epoch, position in the
//! epoch, key.
//!
//! A file is a line with the format's name, the length of what follows in 8 bytes, a JSON header, a zero byte, the values of
//! the arrays, little-endian, and a checksum in 4 bytes (CRC-32) over everything before it. The one before is kept
//! beside it: a file that is cut short or has a flipped bit is found, and the one before it is used.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use retrograde_array::Array;
use serde::{Deserialize, Serialize};

use crate::diagnosis::one_line;
use crate::{RunFolder, RunFolderError};

const NAME: &[u8] = b"retrograde checkpoint 2\n";
/// Name, length and checksum.
const MIN_BYTES: usize = NAME.len() + 8 + 4;

/// Where a run stands between two steps.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// Everything but the arrays.
    pub position: Position,
    /// The network's parameters, with their paths.
    pub parameters: Vec<(String, Array)>,
    /// What of the network no gradient changes.
    pub buffers: Vec<(String, Array)>,
    /// What the update remembers.
    pub update: Vec<(String, Array)>,
    /// Parameters and buffers of the best epoch so far, when the run may stop early.
    pub best: Option<(Named, Named)>,
}

/// Arrays with their paths.
pub type Named = Vec<(String, Array)>;

/// Where a run stands, but for the arrays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The key of the run.
    pub key: [u64; 2],
    /// [`Recipe::checksum`](crate::Recipe::checksum) of the run.
    pub recipe: u32,
    /// The epoch of the next step, counted from 1.
    pub epoch: u32,
    /// Batches of this epoch that are done.
    pub n_batches: u64,
    /// Steps taken.
    pub step: u64,
    /// Loss times rows, summed over this epoch's batches.
    #[serde(with = "bits")]
    pub loss_sum: f64,
    /// Norms of the gradient of each layer, summed over this epoch's batches.
    #[serde(with = "bits_of_each")]
    pub norm_sums: Vec<f64>,
    /// The smallest validation loss so far; infinite before the first.
    #[serde(with = "bits")]
    pub best_loss: f64,
    /// Epochs since then.
    pub n_stale: u32,
    /// No step is left.
    pub is_finished: bool,
}

/// Numbers as their bits: text would have to be read back to the last one, infinities included.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

mod bits_of_each {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|value| value.to_bits()).collect::<Vec<_>>().serialize(serializer)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<u64>::deserialize(deserializer)?.into_iter().map(f64::from_bits).collect())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    position: Position,
    parameters: Vec<Leaf>,
    buffers: Vec<Leaf>,
    update: Vec<Leaf>,
    best: Option<(Vec<Leaf>, Vec<Leaf>)>,
}

/// Path, type and shape of an array.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    path: String,
    dtype: String,
    shape: Vec<usize>,
}

impl Leaf {
    fn all(leaves: &[(String, Array)]) -> Vec<Leaf> {
        let leaf = |(path, array): &(String, Array)| Leaf {
            path: path.clone(),
            dtype: array.dtype().to_string(),
            shape: array.shape().to_vec(),
        };
        leaves.iter().map(leaf).collect()
    }
}

/// Why bytes are no checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// They start otherwise.
    #[error("it is no checkpoint: it does not start with \"retrograde checkpoint 2\"")]
    Name,
    /// The length in it is another.
    #[error("it is cut short or has something added: found {found} bytes, expected {expected}")]
    Length {
        /// How many there are.
        found: u64,
        /// How many it says.
        expected: u64,
    },
    /// The checksum is another.
    #[error("its checksum is {found:08x}, expected {expected:08x}: a bit was flipped")]
    Checksum {
        /// Of the bytes.
        found: u32,
        /// In the file.
        expected: u32,
    },
    /// The header cannot be read or does not fit the values.
    #[error("its header is damaged: {0}")]
    Header(String),
}

impl Checkpoint {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let best = self.best.as_ref();
        let header = Header {
            position: self.position.clone(),
            parameters: Leaf::all(&self.parameters),
            buffers: Leaf::all(&self.buffers),
            update: Leaf::all(&self.update),
            best: best.map(|(parameters, buffers)| (Leaf::all(parameters), Leaf::all(buffers))),
        };
        let mut body = serde_json::to_vec(&header)
            .unwrap_or_else(|error| panic!("a checkpoint as JSON: {error}; this is a bug in retrograde"));
        body.push(0);
        let own = [&self.parameters, &self.buffers, &self.update].into_iter();
        for (_, array) in own.chain(best.iter().flat_map(|(p, b)| [p, b])).flatten() {
            push_values(array, &mut body);
        }
        let mut bytes = [NAME, &(body.len() as u64).to_le_bytes(), &body].concat();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// The checkpoint of a file.
    ///
    /// # Errors
    /// Anything that [`Checkpoint::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        if !bytes.starts_with(NAME) {
            return Err(CheckpointError::Name);
        }
        let found = bytes.len() as u64;
        let Some((rest, [sum])) = bytes.split_last_chunk::<4>().map(|(rest, sum)| (rest, [sum])) else {
            return Err(CheckpointError::Length { found, expected: MIN_BYTES as u64 });
        };
        let Some((length, body)) = rest.get(NAME.len()..).and_then(<[u8]>::split_first_chunk) else {
            return Err(CheckpointError::Length { found, expected: MIN_BYTES as u64 });
        };
        let expected = u64::from_le_bytes(*length).saturating_add(MIN_BYTES as u64);
        if found != expected {
            return Err(CheckpointError::Length { found, expected });
        }
        let (found, expected) = (crc32fast::hash(rest), u32::from_le_bytes(*sum));
        if found != expected {
            return Err(CheckpointError::Checksum { found, expected });
        }
        decode_body(body)
    }
}

fn decode_body(body: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let damaged = |what: &str| CheckpointError::Header(what.into());
    let end = body.iter().position(|&byte| byte == 0).ok_or_else(|| damaged("it has no end"))?;
    let header = serde_json::from_slice::<Header>(&body[..end]);
    let header = header.map_err(|error| CheckpointError::Header(one_line(&error.to_string())))?;
    let mut rest = &body[end + 1..];
    let mut list = |leaves: Vec<Leaf>| {
        let leaves = leaves.into_iter().map(|leaf| {
            let array =
                take_array(&leaf, &mut rest).ok_or_else(|| damaged("the sizes do not fit the values"))?;
            Ok((leaf.path, array))
        });
        leaves.collect::<Result<Vec<_>, CheckpointError>>()
    };
    let parameters = list(header.parameters)?;
    let buffers = list(header.buffers)?;
    let update = list(header.update)?;
    let best = match header.best {
        Some((parameters, buffers)) => Some((list(parameters)?, list(buffers)?)),
        None => None,
    };
    if !rest.is_empty() {
        return Err(damaged("the sizes do not fit the values"));
    }
    Ok(Checkpoint { position: header.position, parameters, buffers, update, best })
}

/// The types that a training run remembers: numbers, learning rates, counts.
fn push_values(array: &Array, into: &mut Vec<u8>) {
    if let Some(values) = array.as_slice::<f32>() {
        into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    } else if let Some(values) = array.as_slice::<f64>() {
        into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    } else if let Some(values) = array.as_slice::<i64>() {
        into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    } else {
        panic!("a checkpoint of {}; this is a bug in retrograde", array.dtype());
    }
}

/// The array whose bytes come next; `None` where there are too few, or of a type that is not written.
fn take_array(leaf: &Leaf, rest: &mut &[u8]) -> Option<Array> {
    let size = leaf.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    let width = match leaf.dtype.as_str() {
        "f32" => 4,
        "f64" | "i64" => 8,
        _ => return None,
    };
    let (bytes, more) = rest.split_at_checked(size.checked_mul(width)?)?;
    *rest = more;
    let wide = || bytes.as_chunks::<8>().0.iter();
    let array = match leaf.dtype.as_str() {
        "f32" => Array::new(
            &leaf.shape[..],
            bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect(),
        ),
        "f64" => Array::new(&leaf.shape[..], wide().map(|&chunk| f64::from_le_bytes(chunk)).collect()),
        _ => Array::new(&leaf.shape[..], wide().map(|&chunk| i64::from_le_bytes(chunk)).collect()),
    };
    array.ok()
}

/// A checkpoint that was found, and what was wrong with the newer one if this is the one before.
#[derive(Debug)]
pub struct Found {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The newer file and why it was not used.
    pub damaged: Option<(PathBuf, CheckpointError)>,
}

/// Why no checkpoint of a run can be used.
#[derive(Debug, thiserror::Error)]
pub enum NoCheckpoint {
    /// All of them are damaged.
    #[error("error: no checkpoint can be used: {error}\n  --> {}\n  help: start the run again with another `--out`; its parameters, if any, are whole", path.display())]
    Damaged {
        /// The newest.
        path: PathBuf,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// The system refuses.
    #[error("{0}")]
    Folder(#[from] RunFolderError),
}

/// Writes a checkpoint, whole or not at all, and keeps the one before it.
///
/// # Errors
/// The system refuses; then the one before stays.
pub fn save(folder: &RunFolder, name: &str, checkpoint: &Checkpoint) -> Result<(), RunFolderError> {
    folder.write_keeping_previous(name, &previous(name), &checkpoint.encode())
}

/// The newest checkpoint that is whole; `None` when none was ever written. A damaged one that is passed over is renamed
/// `NAME.damaged`, lest the next [`save`] keeps it as the one before.
///
/// # Errors
/// All are damaged; the system refuses.
pub fn load(folder: &RunFolder, name: &str) -> Result<Option<Found>, NoCheckpoint> {
    let mut damaged = None;
    for file in [name.into(), previous(name)] {
        let path = folder.path().join(file);
        let Some(bytes) = read(&path)? else { continue };
        match Checkpoint::decode(&bytes) {
            Ok(checkpoint) => {
                if damaged.is_some() {
                    folder.rename(name, &format!("{name}.damaged"))?;
                }
                return Ok(Some(Found { checkpoint, damaged }));
            }
            Err(error) => damaged = damaged.or(Some((path, error))),
        }
    }
    damaged.map_or(Ok(None), |(path, error)| Err(NoCheckpoint::Damaged { path, error }))
}

fn previous(name: &str) -> String {
    format!("{name}.previous")
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, RunFolderError> {
    let refused = |source| RunFolderError::Io { verb: "read", path: path.into(), source };
    let mut bytes = vec![];
    match fs::File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map_err(refused)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    Ok(Some(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Checkpoint {
        let array = |values: &[f32]| Array::new([1, values.len()], values.to_vec()).unwrap();
        let named = |name: &str, array: Array| (name.to_owned(), array);
        let leaves = vec![named("a", array(&[1.5, f32::NAN])), named("b", array(&[-0.0]))];
        let buffers = vec![named("moments.0.mean", array(&[0.25]))];
        Checkpoint {
            position: Position {
                key: [1, u64::MAX],
                recipe: 7,
                epoch: 3,
                n_batches: 2,
                step: 40,
                loss_sum: 0.1 + 0.2,
                norm_sums: vec![f64::MIN_POSITIVE, 2.0],
                best_loss: f64::INFINITY,
                n_stale: 1,
                is_finished: false,
            },
            parameters: leaves.clone(),
            buffers: buffers.clone(),
            update: vec![
                named("0.velocity.a", array(&[3.0, 4.0])),
                named("1.rate", retrograde_array::array(0.1)),
                named("2.count", retrograde_array::array(7_i64)),
            ],
            best: Some((leaves, buffers)),
        }
    }

    #[test]
    fn a_checkpoint_reads_back_bit_by_bit() {
        let checkpoint = sample();
        let again = Checkpoint::decode(&checkpoint.encode()).unwrap();
        assert_eq!(again.position, checkpoint.position);
        let all = |c: &Checkpoint| {
            let best = c.best.iter().flat_map(|(parameters, buffers)| [parameters, buffers]);
            [&c.parameters, &c.buffers, &c.update]
                .into_iter()
                .chain(best)
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
        };
        let (found, expected) = (all(&again), all(&checkpoint));
        assert_eq!(found.len(), 9);
        let same = |(found, expected): (&(String, Array), &(String, Array))| {
            found.0 == expected.0 && found.1.bits_eq(&expected.1)
        };
        assert!(found.iter().zip(&expected).all(same));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(Checkpoint::decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(Checkpoint::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_one_before_is_used_when_the_newest_is_damaged() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(temp.path().join("run")).unwrap();
        assert!(load(&folder, "checkpoint").unwrap().is_none());
        let mut checkpoint = sample();
        save(&folder, "checkpoint", &checkpoint).unwrap();
        checkpoint.position.step = 41;
        save(&folder, "checkpoint", &checkpoint).unwrap();
        let found = load(&folder, "checkpoint").unwrap().unwrap();
        assert_eq!((found.checkpoint.position.step, found.damaged), (41, None));
        let newest = folder.path().join("checkpoint");
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        let found = load(&folder, "checkpoint").unwrap().unwrap();
        assert_eq!(found.checkpoint.position.step, 40);
        let (path, error) = found.damaged.unwrap();
        assert_eq!(path, newest);
        assert!(error.to_string().starts_with("it is cut short"), "{error}");
        // The next one does not push the whole one out.
        checkpoint.position.step = 42;
        save(&folder, "checkpoint", &checkpoint).unwrap();
        assert_eq!(load(&folder, "checkpoint").unwrap().unwrap().checkpoint.position.step, 42);
        fs::remove_file(&newest).unwrap();
        assert_eq!(load(&folder, "checkpoint").unwrap().unwrap().checkpoint.position.step, 40);
        fs::write(folder.path().join("checkpoint.previous"), "rubbish").unwrap();
        let error = load(&folder, "checkpoint").unwrap_err().to_string();
        assert!(error.starts_with("error: no checkpoint can be used: it is no checkpoint"), "{error}");
    }
}
