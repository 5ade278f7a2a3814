//! Hand tracking: how far points of a hand, posed by 26 numbers, are from where a camera saw them, and the dense Jacobian, in the form of
//! ADBench, f64.
//!
//! The pose is a rotation (3), a place (3) and four angles for each of five fingers. A point of the skin is a mean of where its bones
//! would bring it. In the simple form an observation is of a corner of the skin; in the complicated one of a place in a triangle of it,
//! whose two coordinates are unknown too.
//!
//! What the Jacobian makes use of: the place enters as it is; the rotation turns what the fingers made; no angle moves another finger,
//! so the first angles of all fingers are one direction of forward mode, and so on: 4 directions for 20 angles, through the bones
//! alone; two for the coordinates of all observations.
//!
//! Source: see [`super::instance`]; the one direction for many columns: A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation of sparse
//! Jacobian matrices, IMA J. Appl. Math. 13 (1974).

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use retrograde::DotDims;
use retrograde::prelude::*;
use retrograde::trace::function::Function as _;

use super::instance::{Words, of_shape};
use super::workload::{TimedCall, TimedCase, Workload};
use crate::failure::Failure;

pub(super) const CASE: TimedCase = TimedCase {
    name: "hand",
    about: "hand tracking (ADBench): misses and their dense Jacobian",
    path: Some("a folder in the form of ADBench, with `model` and one file of observations"),
    workload: |path, _| Ok(workload(&read(path)?)),
};

const FINGERS: usize = 5;
/// The first of a finger does not move against the palm.
const BONES_OF_FINGER: usize = 4;
/// Two of the second bone of a finger, one of the third and one of the fourth.
const ANGLES_OF_FINGER: usize = 4;
/// A wrist, the fingers and a forearm.
const BONES: usize = FINGERS * BONES_OF_FINGER + 2;
/// Rotation and place come before the angles.
const BEFORE_ANGLES: usize = 6;
const POSE: usize = BEFORE_ANGLES + FINGERS * ANGLES_OF_FINGER;
/// Corners of a triangle.
const CORNERS: usize = 3;

/// A hand and what was seen of it.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    /// `[22, 4, 4]`: each bone in the frame of the one that it hangs on.
    relative: Array,
    /// `[22, 4, 4]`: from the skin at rest to the frame of the bone.
    inverse: Array,
    /// `[4, corners]`: the skin at rest, with ones.
    skin: Array,
    /// `[22, corners]`: how much each bone moves each corner.
    weights: Array,
    /// `[p]`, or `[3 p]` where the observations are of triangles: first corners, second ones, third ones.
    corners: Array,
    /// `[3, p]`
    seen: Array,
    /// `[2, p]`, where the observations are of triangles.
    within: Option<Array>,
    /// `[26]`
    pose: Array,
}

/// The only file of observations in a folder.
fn observations(folder: &Path) -> Result<PathBuf, Failure> {
    let unreadable = |source| Failure::InstanceUnreadable { path: folder.into(), source };
    let mut found = vec![];
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        n => Err(Failure::Instance {
            path: folder.into(),
            line: 1,
            found: format!("{n} files that end in .txt"),
            expected: "one, the observations, beside the folder `model`".into(),
        }),
    }
}

fn read(folder: &Path) -> Result<Hand, Failure> {
    let (relative, inverse) = read_bones(&folder.join("model/bones.txt"))?;
    let (skin, weights, n_corners) = read_skin(&folder.join("model/vertices.txt"))?;
    let mut words = Words::read(&observations(folder)?, &[])?;
    let p: usize = words.next("the number of observations")?;
    let n_pose: usize = words.next("the length of the pose")?;
    if n_pose != POSE {
        return Err(words.refuse(format!("a pose of {n_pose} numbers"), format!("{POSE} numbers")));
    }
    let (mut of, mut seen) = (vec![], vec![]);
    for _ in 0..p {
        of.push(words.next::<usize>("the number of a corner or a triangle")?);
        seen.extend(words.numbers(3, "a coordinate of an observation")?);
    }
    let complicated = words.n_left() > n_pose;
    let within = if complicated {
        Some(transposed(2, &words.numbers(2 * p, "a coordinate within a triangle")?))
    } else {
        None
    };
    let pose = words.array(&[n_pose], "a number of the pose")?;
    words.end()?;
    let corners = if complicated {
        let triangles = read_triangles(&folder.join("model/triangles.txt"))?;
        let chosen: Option<Vec<_>> = of.iter().map(|&i| triangles.get(i)).collect();
        let Some(chosen) = chosen else {
            return Err(words.refuse(
                format!("an observation of triangle {}", of.iter().max().unwrap_or(&0)),
                format!("one of the {} in `model`", triangles.len()),
            ));
        };
        (0..CORNERS).flat_map(|corner| chosen.iter().map(move |triangle| triangle[corner])).collect()
    } else {
        of
    };
    if let Some(wrong) = corners.iter().find(|corner| **corner >= n_corners) {
        return Err(words.refuse(format!("corner {wrong}"), format!("one of the {n_corners} in `model`")));
    }
    let corners = Array::vector(corners.into_iter().map(|corner| corner as i64).collect());
    Ok(Hand { relative, inverse, skin, weights, corners, seen: transposed(3, &seen), within, pose })
}

/// `[n, width]`, row by row, as `[width, n]`.
fn transposed(width: usize, rows: &[f64]) -> Array {
    let values = (0..width).flat_map(|column| rows.iter().skip(column).step_by(width).copied()).collect();
    of_shape(&[width, rows.len() / width], values)
}

/// A line for each bone: name, number of the bone it hangs on, two matrices.
fn read_bones(path: &Path) -> Result<(Array, Array), Failure> {
    let mut words = Words::read(path, &[':'])?;
    let (mut relative, mut inverse) = (vec![], vec![]);
    for bone in 0..BONES {
        let _: String = words.next("the name of a bone")?;
        let parent: i64 = words.next("the bone that it hangs on")?;
        let of_hand = match bone {
            0 => -1,
            bone if bone + 1 < BONES && bone % BONES_OF_FINGER != 1 => bone as i64 - 1,
            _ => 0,
        };
        if parent != of_hand {
            return Err(words.refuse(
                format!("bone {bone} on bone {parent}"),
                format!("bone {of_hand}: a wrist, five fingers of four bones on it, a forearm"),
            ));
        }
        relative.extend(words.numbers(16, "an entry of a bone's matrix")?);
        inverse.extend(words.numbers(16, "an entry of a bone's matrix")?);
    }
    words.end()?;
    let shape = [BONES, 4, 4];
    Ok((of_shape(&shape, relative), of_shape(&shape, inverse)))
}

/// A line for each corner: place, five numbers for pictures, and its bones with their weights.
fn read_skin(path: &Path) -> Result<(Array, Array, usize), Failure> {
    let mut words = Words::read(path, &[':'])?;
    let (mut places, mut weights): (Vec<f64>, Vec<(usize, usize, f64)>) = (vec![], vec![]);
    let mut n = 0;
    while words.n_left() > 0 {
        places.extend(words.numbers(3, "a coordinate of a corner")?);
        places.push(1.0);
        words.numbers(5, "a number for pictures")?;
        let n_bones: usize = words.next("how many bones move a corner")?;
        for _ in 0..n_bones {
            let bone: usize = words.next("a bone that moves a corner")?;
            if bone >= BONES {
                return Err(words.refuse(format!("bone {bone}"), format!("one of {BONES}")));
            }
            weights.push((bone, n, words.next("how much a bone moves a corner")?));
        }
        n += 1;
    }
    let mut matrix = vec![0.0; BONES * n];
    weights.into_iter().for_each(|(bone, corner, weight)| matrix[bone * n + corner] = weight);
    Ok((transposed(4, &places), of_shape(&[BONES, n], matrix), n))
}

fn read_triangles(path: &Path) -> Result<Vec<[usize; CORNERS]>, Failure> {
    let mut words = Words::read(path, &[':'])?;
    let mut triangles = vec![];
    while words.n_left() > 0 {
        let mut corner = || words.next("a corner of a triangle");
        triangles.push([corner()?, corner()?, corner()?]);
    }
    Ok(triangles)
}

/// Products of matrices, one by one: `[n, a, b]` and `[n, b, c]`.
fn products(a: Var, b: Var) -> Var {
    a.dot_general(
        b,
        DotDims { lhs_contract: vec![2], rhs_contract: vec![1], lhs_batch: vec![0], rhs_batch: vec![0] },
    )
}

/// Turns by angles `[n]` about x, and then about z: `[n, 4, 4]`.
fn turns(about_x: Var, about_z: Option<Var>) -> Var {
    let zero = about_x * 0.0;
    let one = zero + 1.0;
    let (cx, sx) = (about_x.cos(), about_x.sin());
    let (cz, sz) = about_z.map_or((one, zero), |z| (z.cos(), z.sin()));
    let rows = [
        [cz, -(sz * cx), sz * sx, zero],
        [sz, cz * cx, -(cz * sx), zero],
        [zero, sx, cx, zero],
        [zero, zero, zero, one],
    ];
    stack(&rows.concat()).t().reshape([about_x.shape()[0], 4, 4])
}

/// What traced code knows of a hand.
struct Parts {
    relative: Var,
    inverse: Var,
    /// `[22, 4, m]`: the corners that are observed, at rest, times how much each bone moves them.
    pulled: Var,
    seen: Var,
}

impl Parts {
    fn new(data: &[Var]) -> Parts {
        let (skin, weights, corners) = (data[2], data[3], data[4]);
        let (skin, weights) = (skin.gather(1, corners), weights.gather(1, corners));
        let shape = [BONES, 4, skin.shape()[1]];
        let pulled = weights.broadcast(shape, &[0, 2]) * skin.broadcast(shape, &[1, 2]);
        Parts { relative: data[0], inverse: data[1], pulled, seen: data[5] }
    }

    /// From the skin at rest to where the bones of the fingers bring it, of angles `[5, 4]`: `[5, 4, 3, 4]`.
    fn fingers(&self, angles: Var) -> Var {
        let bones = FINGERS * BONES_OF_FINGER;
        let of = |a: Var| a.slice(0, 1..1 + bones).reshape([FINGERS, BONES_OF_FINGER, 4, 4]);
        let (relative, inverse) = (of(self.relative), of(self.inverse));
        let angle = |i: usize| angles.index(1, i);
        let wrist = self.relative.slice(0, 0..1).reshape([4, 4]).broadcast([FINGERS, 4, 4], &[1, 2]);
        let mut reached = products(wrist, relative.index(1, 0));
        let mut all = vec![reached];
        let turned = [turns(angle(0), Some(angle(1))), turns(angle(2), None), turns(angle(3), None)];
        for (bone, turn) in (1..).zip(turned) {
            reached = products(reached, products(relative.index(1, bone), turn));
            all.push(reached);
        }
        let flat = |a: Var| a.reshape([bones, 4, 4]);
        let reached = flat(stack(&all).transpose(&[1, 0, 2, 3]));
        products(reached, flat(inverse)).slice(1, 0..3).reshape([FINGERS, BONES_OF_FINGER, 3, 4])
    }

    /// All bones side by side: `[3, 22 · 4]`.
    fn bones(&self, fingers: Var) -> Var {
        let wrist = self.relative.slice(0, 0..1);
        let forearm = products(wrist, self.relative.slice(0, BONES - 1..BONES));
        let placed = |bone: Var, at: usize| products(bone, self.inverse.slice(0, at..at + 1)).slice(1, 0..3);
        let fingers = fingers.reshape([FINGERS * BONES_OF_FINGER, 3, 4]);
        let all = concat(&[placed(wrist, 0), fingers, placed(forearm, BONES - 1)], 0);
        all.transpose(&[1, 0, 2]).reshape([3, BONES * 4])
    }

    /// What is observed, at rest, times how much each bone moves it: `[22 · 4, p]`; `within`: two coordinates in triangles, `[2, p]`.
    fn observed(&self, within: Option<Var>) -> Var {
        let p = self.seen.shape()[1];
        let Some(within) = within else { return self.pulled.reshape([BONES * 4, p]) };
        let shape = [BONES * 4, p];
        let corner = |i: usize| self.pulled.slice(2, i * p..(i + 1) * p).reshape(shape);
        let (u, v) = (within.index(0, 0), within.index(0, 1));
        let rest = 1.0 - u - v;
        corner(0) * u.spread(shape) + corner(1) * v.spread(shape) + corner(2) * rest.spread(shape)
    }
}

/// The rotation by the length of a vector about it (Rodrigues): `[3]` → `[3, 3]`.
fn rotation(r: Var) -> Var {
    let angle = (r * r).sum().sqrt();
    let axis = r / angle;
    let [x, y, z] = [0, 1, 2].map(|i| axis.index(0, i));
    let (s, c) = (angle.sin(), angle.cos());
    let rows = [
        [x * x + (1.0 - x * x) * c, x * y * (1.0 - c) - z * s, x * z * (1.0 - c) + y * s],
        [x * y * (1.0 - c) + z * s, y * y + (1.0 - y * y) * c, y * z * (1.0 - c) - x * s],
        [x * z * (1.0 - c) - y * s, z * y * (1.0 - c) + x * s, z * z + (1.0 - z * z) * c],
    ];
    stack(&rows.concat()).reshape([3, 3])
}

fn angles(pose: Var) -> Var {
    pose.slice(0, BEFORE_ANGLES..POSE).reshape([FINGERS, ANGLES_OF_FINGER])
}

/// The misses, three for each observation: `[3 p]`.
fn objective(wrt: &[Var], data: &[Var]) -> Vec<Var> {
    let pose = wrt[0];
    let parts = Parts::new(data);
    let local = parts.bones(parts.fingers(angles(pose))).dot(parts.observed(wrt.get(1).copied()));
    let place = pose.slice(0, 3..6).reshape([3]);
    let there = rotation(pose.slice(0, 0..3)).dot(local);
    let miss = parts.seen - there - place.broadcast(there.shape(), &[0]);
    vec![miss.t().reshape([miss.shape().size()])]
}

/// The Jacobian, a row for each miss: `[3 p, 26]`, with two columns more in front for the coordinates of the own triangle.
fn jacobian(wrt: &[Var], data: &[Var]) -> Vec<Var> {
    let pose = wrt[0];
    let parts = Parts::new(data);
    let within = wrt.get(1).copied();
    let p = parts.seen.shape()[1];
    let observed = parts.observed(within);
    let (turn, angles) = (pose.slice(0, 0..3), angles(pose));
    let bones = parts.bones(parts.fingers(angles));
    let local = bones.dot(observed);
    let turned = rotation(turn);

    // All columns as [3, columns, p]; a miss is what was seen less where the hand is.
    let mut columns = vec![];
    if let Some(within) = within {
        // The same step in all triangles at once.
        let moved = jacobian_of(
            |step: Var| parts.observed(Some(within + step.broadcast([2, p], &[0]))),
            full(DType::F64, [2], 0.0),
        );
        columns.push(-turned.dot(bones).dot(moved).transpose(&[0, 2, 1]));
    }
    let slopes = -jacobian_of(rotation, turn);
    let dims = |lhs: usize, rhs: usize| DotDims {
        lhs_contract: vec![lhs],
        rhs_contract: vec![rhs],
        lhs_batch: vec![],
        rhs_batch: vec![],
    };
    columns.push(slopes.dot_general(local, dims(1, 0)));
    columns.push((-linalg::eye(DType::F64, 3)).broadcast([3, 3, p], &[0, 1]));
    // [finger, bone, 3, 4, direction]
    let of_fingers = jacobian_of(
        |step: Var| parts.fingers(angles + step.spread([FINGERS, ANGLES_OF_FINGER])),
        full(DType::F64, [ANGLES_OF_FINGER], 0.0),
    );
    // [3, finger, direction, bone · 4]
    let of_fingers = (-turned).dot_general(of_fingers, dims(1, 2)).transpose(&[0, 1, 4, 2, 3]);
    let flat = BONES_OF_FINGER * 4;
    let of_fingers = of_fingers.reshape([3, FINGERS, ANGLES_OF_FINGER, flat]);
    let observed = observed.reshape([BONES, 4, p]).slice(0, 1..BONES - 1).reshape([FINGERS, flat, p]);
    let by_finger =
        DotDims { lhs_contract: vec![3], rhs_contract: vec![1], lhs_batch: vec![1], rhs_batch: vec![0] };
    // [finger, 3, direction, p]
    let moved = of_fingers.dot_general(observed, by_finger).transpose(&[1, 0, 2, 3]);
    columns.push(moved.reshape([3, FINGERS * ANGLES_OF_FINGER, p]));
    let all = concat(&columns, 1);
    let width = all.shape()[1];
    vec![all.transpose(&[2, 0, 1]).reshape([3 * p, width])]
}

/// All slopes of a function at a place, by forward mode.
fn jacobian_of(f: impl Fn(Var) -> Var, at: Var) -> Var {
    retrograde::prelude::jacobian(f).forward().apply((at,))
}

pub(super) fn workload(hand: &Hand) -> Workload {
    let Hand { relative, inverse, skin, weights, corners, seen, within, pose } = hand.clone();
    let kind = if within.is_some() { "complicated" } else { "simple" };
    let task = format!("hand_{kind}_t{POSE}_c{}", seen.shape()[1]);
    let outcome = |wrt: &[Var], data: &[Var]| [objective(wrt, data), jacobian(wrt, data)].concat();
    Workload {
        task,
        wrt: [Some(pose), within].into_iter().flatten().collect(),
        data: vec![relative, inverse, skin, weights, corners, seen],
        calls: vec![TimedCall::new("objective_s", objective), TimedCall::new("gradient_s", jacobian)],
        loss: None,
        outcome: Rc::new(outcome),
        flop_ratios: vec![],
        by_hand: vec![],
    }
}

/// A random hand of any shape.
#[cfg(test)]
pub(super) fn random(complicated: bool) -> Hand {
    let draw = |seed, shape: &[usize]| retrograde::rng::normal(Key::from_seed(seed), shape);
    let (n_corners, p) = (9, 4);
    let corners = super::workload::whole_numbers(
        Key::from_seed(5),
        &[if complicated { CORNERS * p } else { p }],
        n_corners as u64,
    );
    Hand {
        relative: draw(1, &[BONES, 4, 4]),
        inverse: draw(2, &[BONES, 4, 4]),
        skin: draw(3, &[4, n_corners]),
        weights: draw(4, &[BONES, n_corners]),
        corners,
        seen: draw(6, &[3, p]),
        within: complicated.then(|| draw(7, &[2, p])),
        pose: draw(8, &[POSE]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against forward mode through the whole objective, one direction a column, which knows nothing of hands.
    #[test]
    fn the_jacobian_is_that_of_all_directions() {
        for complicated in [false, true] {
            let workload = workload(&random(complicated));
            let found = jit(move |wrt: Vec<Var>, data: Vec<Var>| jacobian(&wrt, &data).remove(0));
            let found = found.call((&workload.wrt, &workload.data)).unwrap();
            let width = POSE + if complicated { 2 } else { 0 };
            assert_eq!(found.shape().to_string(), format!("[12,{width}]"));
            let found = found.to_vec::<f64>().unwrap();
            let plain = jit(|wrt: Vec<Var>, data: Vec<Var>| {
                let rest = wrt[1..].to_vec();
                let of_pose = jacobian_of(
                    |pose: Var| objective(&[vec![pose], rest.clone()].concat(), &data)[0],
                    wrt[0],
                );
                let of_within = wrt.get(1).map(|within| {
                    let moved =
                        |step: Var| objective(&[wrt[0], *within + step.broadcast([2, 4], &[0])], &data)[0];
                    jacobian_of(moved, full(DType::F64, [2], 0.0))
                });
                concat(&of_within.into_iter().chain([of_pose]).collect::<Vec<_>>(), 1)
            });
            let plain = plain.call((&workload.wrt, &workload.data)).unwrap().to_vec::<f64>().unwrap();
            let size = plain.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
            for (at, (found, plain)) in found.iter().zip(&plain).enumerate() {
                let (row, column) = (at / width, at % width);
                assert!((found - plain).abs() < 1e-12 * size, "row {row}, column {column}: {found} {plain}");
            }
        }
    }

    /// And that one against differences.
    #[test]
    fn columns_are_slopes_of_the_misses() {
        let workload = workload(&random(true));
        let run = |f: fn(&[Var], &[Var]) -> Vec<Var>, wrt: &Vec<Array>| {
            let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| f(&wrt, &data).remove(0));
            door.call((wrt, &workload.data)).unwrap().to_vec::<f64>().unwrap()
        };
        let found = run(jacobian, &workload.wrt);
        for column in 0..POSE {
            let moved = |delta: f64| {
                let mut wrt = workload.wrt.clone();
                wrt[0].make_mut::<f64>().unwrap()[column] += delta;
                run(objective, &wrt)
            };
            let (up, down) = (moved(1e-6), moved(-1e-6));
            for row in 0..12 {
                let slope = (up[row] - down[row]) / 2e-6;
                let entry = found[row * (POSE + 2) + column + 2];
                assert!(
                    (slope - entry).abs() < 1e-5 * (1.0 + entry.abs()),
                    "{row} {column}: {slope} {entry}"
                );
            }
        }
    }

    /// Writes a hand as ADBench has it.
    fn written(folder: &Path, hand: &Hand, triangles: &[[usize; 3]], of: &[usize]) {
        let values = |a: &Array| a.to_vec::<f64>().unwrap();
        let join = |all: &[f64], with: &str| all.iter().map(f64::to_string).collect::<Vec<_>>().join(with);
        let (relative, inverse) = (values(&hand.relative), values(&hand.inverse));
        let parents = [-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19, 0];
        let bones: String = (0..BONES)
            .map(|bone| {
                let [relative, inverse] = [&relative, &inverse].map(|all| join(&all[16 * bone..][..16], ":"));
                format!("bone{bone}:{}:{relative}:{inverse}\n", parents[bone])
            })
            .collect();
        let (skin, weights) = (values(&hand.skin), values(&hand.weights));
        let n = skin.len() / 4;
        let corners: String = (0..n)
            .map(|at| {
                let place: Vec<f64> = (0..3).map(|row| skin[row * n + at]).collect();
                let weights: Vec<String> =
                    (0..BONES).map(|bone| format!("{bone}:{}", weights[bone * n + at])).collect();
                format!("{}:0:0:0:0:0:{BONES}:{}\n", join(&place, ":"), weights.join(":"))
            })
            .collect();
        let seen = values(&hand.seen);
        let p = seen.len() / 3;
        let mut observed = format!("{p} {POSE}\n");
        for at in 0..p {
            observed += &format!("{} {} {} {}\n", of[at], seen[at], seen[p + at], seen[2 * p + at]);
        }
        let within = hand.within.as_ref().map(values).unwrap_or_default();
        (0..within.len() / 2).for_each(|at| observed += &format!("{} {}\n", within[at], within[p + at]));
        observed += &join(&values(&hand.pose), "\n");
        let triangles: String = triangles.iter().map(|[a, b, c]| format!("{a}:{b}:{c}\n")).collect();
        fs::create_dir_all(folder.join("model")).unwrap();
        for (name, text) in [
            ("model/bones.txt", bones),
            ("model/vertices.txt", corners),
            ("model/triangles.txt", triangles),
            ("observed.txt", observed),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn a_folder_is_read_and_a_broken_one_refused() {
        let triangles = [[0, 1, 2], [3, 4, 5], [6, 7, 8]];
        for complicated in [false, true] {
            let temp = tempfile::tempdir().unwrap();
            let mut hand = random(complicated);
            // The file has no fourth coordinate: it is 1.
            let n = hand.skin.shape()[1];
            hand.skin.make_mut::<f64>().unwrap()[3 * n..].fill(1.0);
            let of = [2, 0, 1, 2];
            let corners: Vec<i64> = match complicated {
                true => (0..3).flat_map(|k| of.map(|t: usize| triangles[t][k] as i64)).collect(),
                false => of.map(|corner| corner as i64).to_vec(),
            };
            hand.corners = Array::vector(corners);
            written(temp.path(), &hand, &triangles, &of);
            let found = read(temp.path()).unwrap();
            for (a, b) in [
                (&found.relative, &hand.relative),
                (&found.inverse, &hand.inverse),
                (&found.skin, &hand.skin),
                (&found.weights, &hand.weights),
                (&found.corners, &hand.corners),
                (&found.seen, &hand.seen),
                (&found.pose, &hand.pose),
            ] {
                assert!(a.bits_eq(b), "{a} {b}");
            }
            assert_eq!(found.within, hand.within);

            written(temp.path(), &hand, &triangles, &[99, 0, 1, 2]);
            let error = read(temp.path()).unwrap_err().to_string();
            assert!(error.contains("99, expected one of the "), "{error}");
            fs::write(temp.path().join("second.txt"), "").unwrap();
            let error = read(temp.path()).unwrap_err().to_string();
            assert!(error.contains("found 2 files that end in .txt, expected one"), "{error}");
        }
    }
}
