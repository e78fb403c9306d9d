//! A running lab and what tests do with it.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use chassis::config::{KafkaConfig, PostgresConfig, Secret};
use schemas::EventType;
use serde_json::Value;
use xtask::components::Part;
use xtask::ports;
use xtask::state::LabState;

/// No condition of a test takes longer on an idle machine than a fraction of this.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where tests' labs get their ports: below those that xtask chooses itself, and far below those of
/// outgoing connections, which come and go. A port that is given is not listened on until its part
/// starts; until then whoever else gets it would answer in the part's place.
const PORTS: std::ops::Range<u16> = 10_000..18_000;

/// A lab of this test process.
pub struct Lab {
    root: PathBuf,
    dir: PathBuf,
    bin: PathBuf,
    ports: Vec<(&'static str, u16)>,
    backend: &'static str,
    env: Vec<(String, String)>,
    /// Ends the lab when this process is gone: its standard input closes with us.
    _guard: Child,
}

/// What one run of `xtask` printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
    /// Itself, when it ended well.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.ok, "xtask failed: {}\n{}", self.stdout, self.stderr);
        self
    }
    /// Both streams, for looking for words.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Lab {
    /// The lab that all tests of this binary share, started on first use.
    pub async fn shared() -> &'static Lab {
        static LAB: OnceLock<Lab> = OnceLock::new();
        tokio::task::spawn_blocking(|| {
            LAB.get_or_init(|| {
                let lab = Lab::prepare("shared");
                lab.xtask(&["up", "--detach", "--no-build"]).success();
                lab
            })
        })
        .await
        .expect("the lab starts")
    }

    /// A lab that is not started yet, with an empty folder and free ports.
    pub fn prepare(name: &str) -> Lab {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .to_owned();
        let bin = build(&root);
        let dir = std::env::temp_dir().join(format!("edalab-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the lab's folder can be made");
        // PostgreSQL runs as another user when tests run as root, and must get through.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&dir, mode).expect("the lab's folder is ours");
        }
        let names = Part::ALL.map(Part::name);
        let ports = names.into_iter().zip(free_ports(names.len())).collect();
        let guard = Command::new("sh")
            .args([
                "-c",
                "cat >/dev/null; \"$0\" clean --stop || \"$0\" down; rm -rf \"$EDALAB_DIR\"",
            ])
            .arg(bin.join("xtask"))
            .env("EDALAB_DIR", &dir)
            .current_dir(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C on the terminal ends us; the guard has to outlive it.
            .process_group(0)
            .spawn()
            .expect("sh is there");
        Lab {
            root,
            dir,
            bin,
            ports,
            backend: "embedded",
            env: Vec::new(),
            _guard: guard,
        }
    }

    /// The same on another backend.
    #[must_use]
    pub fn on(mut self, backend: &'static str) -> Lab {
        self.backend = backend;
        self
    }

    /// The same with a variable in the environment of its commands.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Lab {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// An `xtask` command for this lab.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(self.bin.join("xtask"));
        command.args(args);
        command
    }

    /// Any program, with the environment that makes xtask this lab's.
    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("EDALAB_DIR", &self.dir)
            .env("EDALAB_BACKEND", self.backend)
            // Of the parts that are not given one below: of two labs that start at the same time both
            // would find the usual one free.
            .env("EDALAB_FREE_PORTS", "true")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        for (name, port) in &self.ports {
            command.env(
                format!("EDALAB_PORT_{}", name.to_uppercase()),
                port.to_string(),
            );
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `xtask` for this lab to its end.
    pub fn xtask(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().expect("xtask can be run"))
    }

    /// Runs shell commands as they stand in the documents: `cargo xtask` is this lab's, and the usual
    /// ports are those that this lab has. They end at the first that fails.
    pub fn shell(&self, script: &str) -> Ran {
        let mut text = script.to_owned();
        for part in Part::ALL {
            let usual = format!("127.0.0.1:{}", part.usual_port());
            text = text.replace(&usual, &format!("127.0.0.1:{}", self.port(part.name())));
        }
        // Everything is built, and the page is not what is tried here.
        let cargo = r#"cargo() {
            [ "$1" = xtask ] && shift
            if [ "$1" = up ]; then shift; set -- up --no-build "$@"; fi
            "$EDALAB_BIN_DIR/xtask" "$@"
        }"#;
        let output = self
            .program("sh")
            .args(["-e", "-c", &format!("{cargo}\n{text}")])
            .env("EDALAB_BIN_DIR", &self.bin)
            .output()
            .expect("sh is there");
        Ran::of(&output)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the lab wrote down about itself.
    pub fn state(&self) -> LabState {
        LabState::load(&self.dir)
            .expect("the state is readable")
            .expect("the lab is up")
    }

    /// The components whose port answers.
    pub fn listening(&self) -> Vec<&'static str> {
        let answers = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let open = self.ports.iter().filter(|(_, port)| answers(*port));
        open.map(|(name, _)| *name).collect()
    }

    /// The chosen port of a component.
    pub fn port(&self, name: &str) -> u16 {
        let found = self.ports.iter().find(|(known, _)| *known == name);
        found.expect("a component's name").1
    }

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(name))
    }
    pub fn gateway_url(&self) -> String {
        self.url("gateway")
    }
    pub fn simulator_url(&self) -> String {
        self.url("simulator")
    }
    pub fn bancaire_url(&self) -> String {
        self.url("bancaire")
    }
    pub fn registry_url(&self) -> String {
        self.url("registry")
    }
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port("gateway"))
    }
    pub fn kafka_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port("kafka"))
    }

    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: self.kafka_bootstrap(),
            auto_offset_reset: "earliest".into(),
            security: Default::default(),
        }
    }

    /// The lab's own database, as bancaire uses it.
    pub fn postgres(&self) -> PostgresConfig {
        PostgresConfig {
            host: "127.0.0.1".into(),
            port: self.port("postgres"),
            database: "edalab".into(),
            user: "edalab".into(),
            password: Secret::new("edalab_password"),
            max_connections: 4,
        }
    }

    /// An empty database owned by the lab's role.
    pub async fn fresh_database(&self, name: &str) -> PostgresConfig {
        let database = format!("test_{name}_{}", uuid::Uuid::new_v4().simple());
        let admin = PostgresConfig {
            database: "postgres".into(),
            user: "postgres".into(),
            password: Secret::new(self.state().postgres_admin_password()),
            ..self.postgres()
        };
        let pool = chassis::postgres::connect(&admin).expect("the configuration is valid");
        let sql = format!("CREATE DATABASE {database} OWNER edalab");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .expect("the database can be made");
        pool.close().await;
        PostgresConfig {
            database,
            ..self.postgres()
        }
    }

    /// A new topic, named after an event's but belonging to this test alone.
    pub async fn fresh_topic(&self, event_type: EventType) -> String {
        let name = format!(
            "test.{}.{}",
            event_type.name(),
            uuid::Uuid::new_v4().simple()
        );
        let leaked: &'static str = name.clone().leak();
        let spec = schemas::TopicSpec {
            name: leaked,
            partitions: 3,
            retention_ms: None,
        };
        chassis::kafka::admin::ensure_topics(&self.kafka(), &[spec], 1)
            .await
            .expect("the topic can be made");
        name
    }

    /// Waits for `work`, but not for ever.
    pub async fn deadline<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, work)
            .await
            .expect("it takes less than a minute")
    }
}

/// A client for plain requests.
pub fn http() -> reqwest::Client {
    let client = chassis::http::client::builder().timeout(Duration::from_secs(20));
    client.build().expect("a plain HTTP client can be built")
}

/// Sends Ctrl-C to a process, as a terminal does.
#[track_caller]
pub fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill is there").success());
}

/// Asks again every 20 ms until `check` gives something, up to a minute.
#[track_caller]
pub fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "waited a minute in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same where the check itself waits.
pub async fn until_async<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "waited a minute in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Builds the binaries that a lab consists of, once per test process, and says where they are.
fn build(root: &Path) -> PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["build", "--quiet"]);
        for package in ["xtask", "registry", "simulator", "bancaire", "gateway"] {
            cargo.args(["--package", package]);
        }
        let status = cargo.status().expect("cargo can be run");
        assert!(status.success(), "the lab's binaries do not build");
        let exe = std::env::current_exe().expect("this test has a path");
        // …/debug/deps/e2e-0123 → …/debug
        exe.ancestors()
            .nth(2)
            .expect("tests lie in deps")
            .to_owned()
    })
    .clone()
}

/// Ports that nothing listens on now, and that no other lab of this process was given.
fn free_ports(count: usize) -> Vec<u16> {
    static TAKEN: Mutex<u32> = Mutex::new(0);
    let mut taken = TAKEN.lock().expect("nobody panics while holding it");
    // Test processes search at the same time: each begins well away from the others.
    let first = std::process::id().wrapping_mul(7919);
    let next = std::iter::repeat_with(|| {
        *taken += 1;
        PORTS.start + (first.wrapping_add(*taken) % PORTS.len() as u32) as u16
    });
    let free = next.take(PORTS.len()).filter(|port| ports::is_free(*port));
    let free: Vec<u16> = free.take(count).collect();
    assert_eq!(free.len(), count, "there are not so many free ports");
    free
}
