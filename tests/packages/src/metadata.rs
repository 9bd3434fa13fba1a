//! What `cargo metadata` reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use serde_json::Value;

/// Returns the folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is a folder")
}

/// Runs cargo in the workspace without the network, and returns what it prints. Panics with its errors if it fails.
pub fn cargo(arguments: &[&str]) -> Output {
    static FETCHED: Once = Once::new();
    // A build downloads only what it needs. If this fails, so does the command below, with a better message.
    FETCHED.call_once(|| drop(run(&["fetch", "--locked"])));
    let output = run(&[arguments, &["--offline"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    output
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output().expect("cargo starts")
}

/// The packages of the workspace, and those that they need.
pub struct Metadata {
    packages: BTreeMap<String, Value>,
    /// The dependencies of a package that are not for its tests or its build, by package ID.
    normal: BTreeMap<String, Vec<String>>,
    members: Vec<String>,
}

impl Metadata {
    /// Asks cargo, for all features and the versions in `Cargo.lock`.
    pub fn read() -> Self {
        let output = cargo(&["metadata", "--format-version", "1", "--locked", "--all-features"]);
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
        let packages = list(&metadata["packages"]).map(|package| (text_of(&package["id"]), package.clone()));
        let nodes = list(&metadata["resolve"]["nodes"]);
        Metadata {
            packages: packages.collect(),
            normal: nodes.map(|node| (text_of(&node["id"]), normal(node))).collect(),
            members: list(&metadata["workspace_members"]).map(text_of).collect(),
        }
    }

    /// Returns the packages of the workspace that are published.
    pub fn published(&self) -> impl Iterator<Item = &Value> {
        self.members.iter().map(|id| &self.packages[id]).filter(|package| package["publish"].is_null())
    }

    /// Returns the packages that `package` needs, directly or not.
    ///
    /// It needs them at run time or to build. It is not one of them.
    pub fn needs<'a>(&'a self, package: &Value) -> Vec<&'a Value> {
        let (mut seen, mut todo) = (Vec::new(), self.normal[&text_of(&package["id"])].clone());
        while let Some(id) = todo.pop() {
            if !seen.contains(&id) {
                todo.extend(self.normal[&id].iter().cloned());
                seen.push(id);
            }
        }
        seen.iter().map(|id| &self.packages[id]).collect()
    }
}

/// The dependencies of a node that are not for tests only, and that some supported system needs.
fn normal(node: &Value) -> Vec<String> {
    let needed = |kind: &Value| {
        let target = kind["target"].as_str().unwrap_or_default();
        kind["kind"] != "dev"
            && !["windows", "wasm", "wasi", "dogpile_loom"].iter().any(|part| target.contains(part))
    };
    let needed = |dependency: &&Value| list(&dependency["dep_kinds"]).any(needed);
    list(&node["deps"]).filter(needed).map(|dependency| text_of(&dependency["pkg"])).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a string of the metadata; an empty one if there is none.
pub fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
