//! One run of one program, on as many processors as it may have threads.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::rows::Row;
use super::{Options, USAGE};

/// What a run printed.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The figure that is compared.
    pub seconds: f64,
    /// All figures of the line that has it.
    pub fields: Value,
}

/// Where the programs are.
pub struct Runner {
    root: PathBuf,
    ours: PathBuf,
    python: String,
    peers_dir: Option<PathBuf>,
    instances: Option<PathBuf>,
}

/// Scripts of this tree begin with it; all others are in the folder of scripts.
const OWN: &str = "tools/";

impl Runner {
    /// Builds our own program, and sees that what the rows need is there.
    ///
    /// # Errors
    /// What is missing, and how to say where it is.
    pub fn new(root: &Path, options: &Options, rows: &[&Row]) -> Result<Runner, String> {
        let Options { python, peers_dir, instances, .. } = options;
        let scripts = rows.iter().flat_map(|row| row.peers).filter(|peer| !peer.script.starts_with(OWN));
        for peer in scripts {
            let folder = peers_dir.as_ref().ok_or_else(|| {
                format!("found no folder with {}, which measures {}\n{USAGE}", peer.script, peer.name)
            })?;
            if !folder.join(peer.script).is_file() {
                return Err(format!("found no {} in {}\n{USAGE}", peer.script, folder.display()));
            }
        }
        for row in rows.iter().filter(|row| row.ours.contains("{instances}")) {
            let folder = instances
                .as_ref()
                .ok_or_else(|| format!("found no folder with the instance of `{}`\n{USAGE}", row.case))?;
            let path = row.ours.split(' ').next_back().unwrap_or_default();
            let path = path.replace("{instances}", &folder.display().to_string());
            if !Path::new(&path).exists() {
                return Err(format!("found no {path}\n{USAGE}"));
            }
        }
        let build = ["build", "--release", "--quiet", "--package", "retrograde-cli"];
        output(root, "cargo", &build.map(String::from))?;
        Ok(Runner {
            root: root.into(),
            ours: root.join("target/release/retrograde"),
            python: python.clone(),
            peers_dir: peers_dir.clone(),
            instances: instances.clone(),
        })
    }

    /// Runs a script of others, or ours where none is named, and gives what it prints.
    ///
    /// # Errors
    /// It cannot be run, or fails.
    pub fn run(&self, script: Option<&str>, args: &str, threads: usize) -> Result<String, String> {
        let args = self.filled(args, threads);
        let Some(script) = script else {
            let rest = ["--json".into(), "--threads".into(), threads.to_string()];
            let args = [vec!["bench".into()], args, rest.to_vec()].concat();
            return self.pinned(&self.ours.display().to_string(), &args, threads);
        };
        let folder = if script.starts_with(OWN) { Some(&self.root) } else { self.peers_dir.as_ref() };
        let script = folder.ok_or("found no folder of scripts")?.join(script);
        self.pinned(&self.python, &[vec![script.display().to_string()], args].concat(), threads)
    }

    fn filled(&self, args: &str, threads: usize) -> Vec<String> {
        let instances =
            self.instances.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
        let fill =
            |arg: &str| arg.replace("{threads}", &threads.to_string()).replace("{instances}", &instances);
        args.split(' ').map(fill).collect()
    }

    /// On the first processors, so that neither program wanders.
    fn pinned(&self, program: &str, args: &[String], threads: usize) -> Result<String, String> {
        let processors = ["-c".into(), format!("0-{}", threads - 1), program.to_owned()];
        output(&self.root, "taskset", &[&processors, args].concat())
    }

    /// What the others are, as Python knows them.
    pub fn versions(&self) -> Value {
        let code = "import importlib.metadata as m, json, sys\nfound = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\nnames = ['jax', 'jaxlib', 'torch', 'numpy']\nprint(json.dumps({'python': sys.version.split()[0]} | {n: found[n] for n in names if n in found}))";
        let text = output(&self.root, &self.python, &["-c".into(), code.into()]);
        text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| json!({}))
    }
}

/// The line with the least such figure, of those that are JSON objects and have it.
///
/// # Errors
/// There is none.
pub fn fastest(text: &str, figure: &str) -> Result<Reading, String> {
    let objects = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let readings = objects.filter_map(|fields| Some(Reading { seconds: fields[figure].as_f64()?, fields }));
    let least = readings.min_by(|a, b| a.seconds.total_cmp(&b.seconds));
    least.ok_or_else(|| format!("found no `{figure}` in what was printed: {text:?}"))
}

fn output(root: &Path, program: &str, args: &[String]) -> Result<String, String> {
    let output = Command::new(program).args(args).current_dir(root).output();
    let output = output.map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = errors.trim().lines().rev().take(3).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(format!("`{program} {}` failed ({})\n{last}", args.join(" "), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::ROWS;

    #[test]
    fn the_fastest_line_with_the_figure_counts() {
        let text = "note\n{\"a_s\": 2.0}\n{\"a_s\": 1.5, \"tool\": \"x\"}\n{\"b_s\": 0.1}";
        let reading = fastest(text, "a_s").unwrap();
        assert_eq!((reading.seconds, &reading.fields["tool"]), (1.5, &json!("x")));
        assert!(fastest(text, "c_s").unwrap_err().starts_with("found no `c_s` in what was printed"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_flag() {
        let rows: Vec<&Row> = ROWS.iter().filter(|row| row.case == "gmm").collect();
        let options = Options { python: "python3".into(), ..Options::default() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = |options: &Options| Runner::new(root, options, &rows).err().unwrap();
        assert!(
            error(&options).starts_with("found no folder with adbench/gmm.py")
                && error(&options).contains("--peers-dir DIR")
        );
        let empty = Options { peers_dir: Some(root.join("src")), ..options };
        assert!(error(&empty).starts_with("found no adbench/gmm.py in "), "{}", error(&empty));
    }

    #[test]
    fn a_failing_program_says_why() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = output(here, "cargo", &["--no-such-flag".into()]).unwrap_err();
        assert!(
            error.starts_with("`cargo --no-such-flag` failed") && error.contains("no-such-flag"),
            "{error}"
        );
        assert!(
            output(here, "no-such-program", &[]).unwrap_err().starts_with("cannot run `no-such-program`")
        );
    }
}
