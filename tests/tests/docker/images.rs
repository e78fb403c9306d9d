//! Images from a registry by digest, from a mirror that lies or is silent, and from a bundle. A tiny
//! image of the test's own stands for a real one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::docker;
use tests::{Lab, Ran, until};

/// Debian's registry on a free port, with its data below `dir`.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let config = dir.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            dir.join("registry").display()
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed (apt install docker-registry)");
        until("the registry listens", || {
            std::net::TcpStream::connect(&address).ok()
        });
        Self { process, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tiny image, gone again at the end.
pub struct Tiny(String);

impl Tiny {
    pub fn new(reference: &str, dir: &Path) -> Self {
        let root = dir.join("root");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(root.join("name"), reference).unwrap();
        let tar = dir.join("root.tar");
        let made = Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();
        assert!(made.expect("tar is there").success());
        docker(&["import", tar.to_str().unwrap(), reference]);
        Self(reference.to_owned())
    }

    fn id(&self) -> String {
        docker(&["image", "inspect", "--format", "{{.Id}}", &self.0])
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let removed = Command::new("docker")
            .args(["image", "rm", "--force", &self.0])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = removed;
    }
}

/// A catalogue with one image in it.
pub fn catalogue(dir: &Path, image: &str, digest: &str, offline: Option<&str>) -> PathBuf {
    let offline = offline.map_or(String::new(), |tag| format!("offline = '{tag}'\n"));
    let text = format!(
        "[tiny]\nrole = 'a test'\nimage = '{image}'\ndigest = '{digest}'\n{offline}port = 1\n\
         memory_mb = 16\nready = 'never'\n"
    );
    let path = dir.join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    path
}

pub fn images(lab: &Lab, catalogue: &Path, mirror: Option<&str>, args: &[&str]) -> Ran {
    let mut command = lab.command(&[&["images"], args].concat());
    command
        .env("EDALAB_IMAGES_FILE", catalogue)
        .env("EDALAB_CACHE", lab.dir().join("cache"));
    if let Some(mirror) = mirror {
        command.env("EDALAB_IMAGE_MIRROR", mirror);
    }
    let output = command.output().expect("xtask can be run");
    Ran {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub const NOWHERE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
#[ignore = "needs registry"]
fn an_image_is_pulled_by_digest_and_another_digest_is_refused() {
    let lab = Lab::prepare("docker-pull").on("docker");
    let dir = lab.dir().to_owned();
    let registry = Registry::start(&dir);
    let mirror = registry.address.clone();
    let name = format!("edalab-test/tiny-{}", std::process::id());
    let local = Tiny::new(&format!("{mirror}/{name}:1"), &dir);
    docker(&["push", &local.0]);
    let digests = docker(&[
        "image",
        "inspect",
        "--format",
        "{{index .RepoDigests 0}}",
        &local.0,
    ]);
    let digest = digests.rsplit_once('@').expect("a digest").1.to_owned();
    docker(&["image", "rm", "--force", &local.0]);

    let good = catalogue(&dir, &format!("{name}:1"), &digest, None);
    let absent = images(&lab, &good, Some(&mirror), &["verify"]);
    assert!(
        !absent.ok && absent.text().contains("absent"),
        "{}",
        absent.text()
    );
    images(&lab, &good, Some(&mirror), &["pull"]).success();
    let again = images(&lab, &good, Some(&mirror), &["pull"]).success();
    assert!(again.text().contains("is here"), "{}", again.text());
    let verdict = images(
        &lab,
        &good,
        Some(&mirror),
        &["verify", "--registry", "--json"],
    )
    .success();
    let verdict = verdict.json();
    assert!(
        verdict
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["verdict"] == "ok"),
        "{verdict}"
    );
    let list = images(&lab, &good, None, &["list", "--json"])
        .success()
        .json();
    assert_eq!(list[0]["pinned"]["origin"], "mirror", "{list}");

    let wrong = catalogue(&dir, &format!("{name}:1"), NOWHERE, None);
    let refused = images(&lab, &wrong, Some(&mirror), &["pull"]);
    assert!(!refused.ok, "{}", refused.text());
    assert!(
        refused.stderr.contains("no image of the pinned digest"),
        "{}",
        refused.stderr
    );

    drop(registry);
    let good = catalogue(
        &dir,
        &format!("{name}-other:1"),
        &NOWHERE.replace("000", "111"),
        None,
    );
    let silent = images(&lab, &good, Some(&mirror), &["pull"]);
    assert!(
        !silent.ok && silent.stderr.contains("does not answer"),
        "{}",
        silent.stderr
    );
    for left in [
        format!("{mirror}/{name}@{digest}"),
        "edalab/pinned-tiny:1".into(),
    ] {
        docker(&["image", "rm", "--force", &left]);
    }
}

#[test]
#[ignore = "needs docker"]
fn a_bundle_brings_images_where_no_registry_is_and_a_broken_one_brings_nothing() {
    let lab = Lab::prepare("docker-bundle").on("docker");
    let dir = lab.dir().to_owned();
    let tag = format!("edalab-test/bundled-{}:1", std::process::id());
    let tiny = Tiny::new(&tag, &dir);
    let id = tiny.id();
    let ours = catalogue(&dir, "edalab-test/none:1", NOWHERE, Some(&tag));
    let bundle = dir.join("lab.bundle");
    let file = bundle.to_str().unwrap();
    images(&lab, &ours, None, &["save", file]).success();

    docker(&["image", "rm", "--force", &tag]);
    let missing = images(&lab, &ours, None, &["save", file]);
    assert!(
        missing.stderr.contains("the images of tiny are not here"),
        "{}",
        missing.stderr
    );
    let whole = std::fs::read(&bundle).unwrap();
    let torn = dir.join("torn.bundle");
    std::fs::write(&torn, &whole[..whole.len() * 2 / 3]).unwrap();
    let refused = images(&lab, &ours, None, &["load", torn.to_str().unwrap()]);
    assert!(
        !refused.ok && refused.stderr.contains("is no whole bundle"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        docker(&["images", "--quiet", &tag]),
        "",
        "nothing of it was loaded"
    );

    images(&lab, &ours, None, &["load", file]).success();
    assert_eq!(tiny.id(), id);
    let list = images(&lab, &ours, None, &["verify", "--json"])
        .success()
        .json();
    let line = list
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["verdict"] == "ok");
    assert!(
        line.expect("it is here")["detail"]
            .as_str()
            .unwrap()
            .contains("bundle"),
        "{list}"
    );

    let other = catalogue(
        &dir,
        "edalab-test/none:1",
        NOWHERE,
        Some("edalab-test/other:1"),
    );
    let refused = images(&lab, &other, None, &["load", file]);
    assert!(
        refused.stderr.contains("make the bundle anew"),
        "{}",
        refused.stderr
    );
}
