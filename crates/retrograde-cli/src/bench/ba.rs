//! Bundle adjustment: how far points of a scene, seen by cameras, are from where they were found in the pictures, and the Jacobian, in
//! the form of ADBench, f64.
//!
//! Each observation has two misses, which depend on 11 numbers of its camera, the 3 of its point and a weight: a block of 2 × 15. It is
//! a function of 15 numbers, mapped over all observations; with more inputs than results, reverse mode gives the two rows.
//!
//! Source: see [`super::instance`]; the camera has Rodrigues' rotation, two radial distortions, a focal length and a principal point.

use std::path::Path;
use std::rc::Rc;

use retrograde::prelude::*;

use super::instance::{Words, of_shape};
use super::workload::{TimedCall, TimedCase, Workload};
use crate::failure::Failure;

pub(super) const CASE: TimedCase = TimedCase {
    name: "ba",
    about: "bundle adjustment (ADBench): misses and their Jacobian in blocks",
    path: Some("a scene in the form of ADBench, such as ba1_n49_m7776_p31843.txt"),
    workload: |path, _| Ok(workload(&read(path)?)),
};

/// Numbers of a camera: rotation, centre, focal length, principal point, distortion.
const CAMERA: usize = 11;
/// What a miss depends on: a camera, a point and a weight.
const INPUTS: usize = CAMERA + 3 + 1;

/// Cameras, points and what was seen.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// `[n, 11]`
    cameras: Array,
    /// `[m, 3]`
    points: Array,
    /// `[p]`
    weights: Array,
    /// `[p]`: which camera, and which point.
    of_camera: Array,
    of_point: Array,
    /// `[2, p]`
    found: Array,
}

/// The files hold one camera, point, weight and observation, of which all are copies; observation i is of camera i mod n and point i mod m.
fn read(path: &Path) -> Result<Scene, Failure> {
    let mut words = Words::read(path, &[])?;
    let n: usize = words.next("the number of cameras")?;
    let m: usize = words.next("the number of points")?;
    let p: usize = words.next("the number of observations")?;
    if n == 0 || m == 0 {
        return Err(words.refuse(format!("{n} cameras and {m} points"), "at least one of both"));
    }
    let camera = words.numbers(CAMERA, "a number of the camera")?;
    let point = words.numbers(3, "a coordinate of the point")?;
    let weight = words.numbers(1, "the weight")?;
    let found = words.numbers(2, "a coordinate of the observation")?;
    words.end()?;
    let index = |n: usize| Array::vector((0..p).map(|i| (i % n) as i64).collect());
    Ok(Scene {
        cameras: of_shape(&[n, CAMERA], camera.repeat(n)),
        points: of_shape(&[m, 3], point.repeat(m)),
        weights: Array::vector(weight.repeat(p)),
        of_camera: index(n),
        of_point: index(m),
        found: of_shape(&[2, p], found.iter().flat_map(|x| vec![*x; p]).collect()),
    })
}

/// Both misses of one observation, of the 15 numbers it depends on.
fn misses(z: &[Var], found: &[Var]) -> [Var; 2] {
    let dot = |a: [Var; 3], b: [Var; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let rotation = [z[0], z[1], z[2]];
    let angle = dot(rotation, rotation).sqrt();
    let inverse = 1.0 / angle;
    let k = rotation.map(|r| r * inverse);
    let v = [z[11] - z[3], z[12] - z[4], z[13] - z[5]];
    let (cos, sin) = (angle.cos(), angle.sin());
    let along = dot(k, v) * (1.0 - cos);
    let cross = [k[1] * v[2] - k[2] * v[1], k[2] * v[0] - k[0] * v[2], k[0] * v[1] - k[1] * v[0]];
    let y: [Var; 3] = std::array::from_fn(|i| v[i] * cos + cross[i] * sin + k[i] * along);
    let depth = 1.0 / y[2];
    let q = [y[0] * depth, y[1] * depth];
    let s = q[0] * q[0] + q[1] * q[1];
    let scale = (1.0 + z[9] * s + z[10] * s * s) * z[6];
    std::array::from_fn(|i| z[14] * (q[i] * scale + z[7 + i] - found[i]))
}

/// For each observation, the 15 numbers: `[p]` each.
fn inputs(wrt: &[Var], data: &[Var]) -> (Vec<Var>, Vec<Var>) {
    let cameras = wrt[0].t().gather(1, data[0]);
    let points = wrt[1].t().gather(1, data[1]);
    let rows = |a: Var, n: usize| (0..n).map(move |i| a.index(0, i));
    let z = rows(cameras, CAMERA).chain(rows(points, 3)).chain([wrt[2]]).collect();
    (z, rows(data[2], 2).collect())
}

/// The misses, `[2, p]`, and 1 − w² for each weight.
fn objective(wrt: &[Var], data: &[Var]) -> Vec<Var> {
    let (z, found) = inputs(wrt, data);
    let all = vmap(|z: Vec<Var>, found: Vec<Var>| misses(&z, &found).to_vec());
    let weight = wrt[2];
    vec![stack(&mapped(&all, z, found)), 1.0 - weight * weight]
}

/// The blocks, `[2, 15, p]`, and the slopes of 1 − w².
fn jacobian(wrt: &[Var], data: &[Var]) -> Vec<Var> {
    let (z, found) = inputs(wrt, data);
    let p = wrt[2].shape()[0];
    let rows = vmap(|z: Vec<Var>, found: Vec<Var>| {
        let row = |i: usize| {
            grad(|z: Vec<Var>, found: Vec<Var>| misses(&z, &found)[i]).at((z.clone(), found.clone()))
        };
        [row(0), row(1)].concat()
    });
    vec![stack(&mapped(&rows, z, found)).reshape([2, INPUTS, p]), -2.0 * wrt[2]]
}

fn mapped(
    f: &impl retrograde::trace::function::Function<(Vec<Var>, Vec<Var>), Output = Vec<Var>>,
    z: Vec<Var>,
    found: Vec<Var>,
) -> Vec<Var> {
    f.apply((z, found))
}

pub(super) fn workload(scene: &Scene) -> Workload {
    let Scene { cameras, points, weights, of_camera, of_point, found } = scene.clone();
    let task = format!("ba_n{}_m{}_p{}", cameras.shape()[0], points.shape()[0], weights.size());
    // The first result is what counts as the value: the misses, not what keeps the weights near one.
    let outcome = |wrt: &[Var], data: &[Var]| [vec![objective(wrt, data)[0]], jacobian(wrt, data)].concat();
    Workload {
        task,
        wrt: vec![cameras, points, weights],
        data: vec![of_camera, of_point, found],
        calls: vec![TimedCall::new("objective_s", objective), TimedCall::new("gradient_s", jacobian)],
        loss: None,
        outcome: Rc::new(outcome),
        flop_ratios: vec![],
        by_hand: vec![],
    }
}

/// A random scene in front of the cameras.
#[cfg(test)]
pub(super) fn random(n: usize, m: usize, p: usize) -> Scene {
    let draw = |seed, shape: &[usize]| retrograde::rng::normal(Key::from_seed(seed), shape);
    let index = |n: usize| Array::vector((0..p).map(|i| (i % n) as i64).collect());
    let mut points = draw(2, &[m, 3]);
    points.make_mut::<f64>().unwrap().iter_mut().skip(2).step_by(3).for_each(|z| *z += 9.0);
    let mut cameras = draw(1, &[n, CAMERA]);
    cameras.make_mut::<f64>().unwrap().iter_mut().for_each(|c| *c *= 0.3);
    Scene {
        cameras,
        points,
        weights: draw(3, &[p]),
        of_camera: index(n),
        of_point: index(m),
        found: draw(4, &[2, p]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every entry of every block against differences of the misses.
    #[test]
    fn blocks_are_slopes() {
        let p = 11;
        let workload = workload(&random(3, 5, p));
        let run = |f: fn(&[Var], &[Var]) -> Vec<Var>, wrt: &Vec<Array>| {
            let door = jit(move |wrt: Vec<Var>, data: Vec<Var>| f(&wrt, &data));
            door.call((wrt, &workload.data)).unwrap()
        };
        let blocks = run(jacobian, &workload.wrt);
        assert_eq!(blocks[0].shape().to_string(), format!("[2,15,{p}]"));
        let entries = blocks[0].to_vec::<f64>().unwrap();
        let slopes_of_weights = blocks[1].to_vec::<f64>().unwrap();
        // All cameras, points or weights moved along one of their numbers.
        for at in 0..INPUTS {
            let (array, column, width) = match at {
                0..CAMERA => (0, at, CAMERA),
                14 => (2, 0, 1),
                _ => (1, at - CAMERA, 3),
            };
            let moved = |delta: f64| {
                let mut wrt = workload.wrt.clone();
                let x = wrt[array].make_mut::<f64>().unwrap();
                x.iter_mut().skip(column).step_by(width).for_each(|x| *x += delta);
                run(objective, &wrt).iter().map(|a| a.to_vec::<f64>().unwrap()).collect::<Vec<_>>()
            };
            let (up, down) = (moved(1e-6), moved(-1e-6));
            for i in 0..2 {
                for lane in 0..p {
                    let slope = (up[0][i * p + lane] - down[0][i * p + lane]) / 2e-6;
                    let found = entries[(i * INPUTS + at) * p + lane];
                    assert!(
                        (slope - found).abs() < 1e-7 * (1.0 + found.abs()),
                        "{at} {i} {lane}: {slope} {found}"
                    );
                }
            }
            if at == 14 {
                for lane in 0..p {
                    assert!(((up[1][lane] - down[1][lane]) / 2e-6 - slopes_of_weights[lane]).abs() < 1e-8);
                }
            }
        }
        assert!(entries.iter().filter(|x| **x != 0.0).count() >= p * (2 * INPUTS - 2));
    }

    #[test]
    fn a_file_is_copied_as_often_as_it_says() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("scene.txt");
        std::fs::write(&path, "2 3 4\n1 2 3 4 5 6 7 8 9 10 11\n-1 -2 -3\n0.5\n20 30\n").unwrap();
        let scene = read(&path).unwrap();
        assert_eq!(
            (scene.cameras.shape().to_string(), scene.points.shape().to_string()),
            ("[2,11]".into(), "[3,3]".into())
        );
        assert_eq!((scene.of_camera, scene.of_point), (array([0_i64, 1, 0, 1]), array([0_i64, 1, 2, 0])));
        assert_eq!(scene.found, array([[20.0, 20.0, 20.0, 20.0], [30.0, 30.0, 30.0, 30.0]]));
        std::fs::write(&path, "0 3 4").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("found 0 cameras and 3 points"));
    }
}
