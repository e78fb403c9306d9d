//! A lab on somebody else's Kafka, which wants a password (SASL/SCRAM), and on another lab's registry
//! and PostgreSQL.

use crate::support::{docker, lab};
use tests::{Lab, Ran, until};

/// One broker in a container of its own, which lets in whom it knows.
struct Secured {
    name: String,
    port: u16,
}

impl Secured {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let name = format!("edalab-secured-{}", std::process::id());
        let publish = format!("127.0.0.1:{port}:9092");
        let advertised = format!("HOST://127.0.0.1:{port},NETWORK://localhost:29092");
        let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let env = [
            ("CLUSTER_ID", "edalab-secured-cluster"),
            ("KAFKA_NODE_ID", "1"),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:29093"),
            (
                "KAFKA_LISTENERS",
                "HOST://:9092,NETWORK://:29092,CONTROLLER://:29093",
            ),
            ("KAFKA_ADVERTISED_LISTENERS", advertised.as_str()),
            (
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                "HOST:SASL_PLAINTEXT,NETWORK:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_INTER_BROKER_LISTENER_NAME", "NETWORK"),
            ("KAFKA_SASL_ENABLED_MECHANISMS", "SCRAM-SHA-512"),
            (
                "KAFKA_LISTENER_NAME_HOST_SCRAM___SHA___512_SASL_JAAS_CONFIG",
                jaas,
            ),
            ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
            ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "3"),
            ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
            ("KAFKA_HEAP_OPTS", "-Xms64m -Xmx256m"),
            (
                "KAFKA_JVM_PERFORMANCE_OPTS",
                "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss512k",
            ),
        ];
        let env: Vec<String> = env.iter().map(|(k, v)| format!("--env={k}={v}")).collect();
        let mut args = vec!["run", "--detach", "--name", &name, "--publish", &publish];
        args.extend(env.iter().map(String::as_str));
        args.push("edalab/kafka:3.9.2");
        docker(&args);
        let broker = Self { name, port };
        until("the broker runs", || {
            broker.knows("lab", "geheim").then_some(())
        });
        broker
    }

    /// Makes it know a user; false while it does not serve yet.
    fn knows(&self, user: &str, password: &str) -> bool {
        let config = format!("SCRAM-SHA-512=[password={password}]");
        let args = ["exec", &self.name, "java", "-cp", "/opt/kafka/libs/*"];
        let tool = [
            "kafka.admin.ConfigCommand",
            "--bootstrap-server",
            "localhost:29092",
        ];
        let what = ["--alter", "--add-config", &config, "--entity-type", "users"];
        let done = std::process::Command::new("docker")
            .args(args)
            .args(tool)
            .args(what)
            .args(["--entity-name", user])
            .output()
            .expect("the docker client is there");
        String::from_utf8_lossy(&done.stdout).contains("Completed")
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn a_lab_works_on_a_cluster_that_wants_a_password_and_removes_nothing_there() {
    let owner = lab("docker-owner");
    owner
        .xtask(&["infra", "up", "postgres", "registry", "--no-build"])
        .success();
    let database = owner.fresh_database("external").await;
    let kafka = Secured::start();
    let guest = Lab::prepare("external-guest").on("external");
    let addresses = [
        (
            "KAFKA_BOOTSTRAP_SERVERS",
            format!("127.0.0.1:{}", kafka.port),
        ),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT".to_owned()),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("KAFKA_SASL_USERNAME", "lab".to_owned()),
        ("SCHEMA_REGISTRY_URL", owner.registry_url()),
        ("POSTGRES_HOST", database.host.clone()),
        ("POSTGRES_PORT", database.port.to_string()),
        ("POSTGRES_DB", database.database.clone()),
        ("POSTGRES_USER", database.user.clone()),
        ("POSTGRES_PASSWORD", database.password.expose().to_owned()),
    ];
    let run = |password: &str, args: &[&str]| {
        let mut command = guest.command(args);
        command
            .envs(addresses.clone())
            .env("KAFKA_SASL_PASSWORD", password);
        let output = command.output().expect("xtask can be run");
        Ran {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    };
    let bare = guest.xtask(&["up", "--detach", "--no-build"]);
    assert!(
        bare.stderr.contains("KAFKA_BOOTSTRAP_SERVERS"),
        "{}",
        bare.stderr
    );
    let wrong = run("falsch", &["up", "--detach", "--no-build"]);
    assert!(
        !wrong.ok && wrong.stderr.contains("refuse these credentials"),
        "{}",
        wrong.stderr
    );

    run("geheim", &["up", "--detach", "--no-build"]).success();
    // From here on the lab knows where it is, whatever the shell says.
    let status = guest.xtask(&["status", "--json"]);
    assert!(status.ok, "{}", status.text());
    assert!(!status.stdout.contains("geheim"), "passwords do not show");
    assert_eq!(status.json()["backend"], "external");
    guest.xtask(&["infra", "test"]).success();
    guest
        .xtask(&["simulate", "--rate", "50", "--duration", "4"])
        .success();
    guest.xtask(&["verify"]).success();

    guest.xtask(&["clean", "--stop"]).success();
    run("geheim", &["up", "--detach", "--no-build"]).success();
    let verdict = guest.xtask(&["verify"]);
    assert!(
        verdict.ok,
        "topics and rows are still there: {}",
        verdict.text()
    );
    guest.xtask(&["clean", "--stop"]).success();
    owner.xtask(&["infra", "test"]);
    owner.xtask(&["clean", "--stop"]).success();
}
