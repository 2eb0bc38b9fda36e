//! Apache Kafka: one node that is broker and controller (KRaft).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::process::Command;

use super::{Broker, Settings, install_prefix};
use crate::daemon::find_on_path;

/// The jars and the Java runtime.
pub struct Kafka {
    libs: PathBuf,
    java: PathBuf,
}

const CONTROLLER: u16 = 9093;

const LOGGING: &str = "status=error\n\
    appender.console.type=Console\n\
    appender.console.name=console\n\
    appender.console.layout.type=PatternLayout\n\
    appender.console.layout.pattern=%d{ISO8601} %p %c: %m%n\n\
    rootLogger.level=warn\n\
    rootLogger.appenderRef.console.ref=console\n";

impl Kafka {
    /// Returns the installation in `KAFKA_HOME`, otherwise that of scripts/install-broker.
    pub fn find() -> Option<Self> {
        let home = std::env::var_os("KAFKA_HOME").map(PathBuf::from);
        let homes = home
            .into_iter()
            .chain(install_prefix().map(|prefix| prefix.join("kafka")));
        let libs = homes.map(|home| home.join("libs")).find(|libs| has_kafka(libs))?;
        let java = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
        let java = java.filter(|java| java.is_file()).or_else(|| find_on_path("java"))?;
        Some(Self { libs, java })
    }
}

impl Broker for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn command(&self, settings: &Settings) -> anyhow::Result<Command> {
        let folder = &settings.folder;
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let write = |path: &Path, text: String| {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        // The file that `kafka-storage format` writes, without a second start of Java. Kafka adds the id of the directory.
        let meta = data.join("meta.properties");
        if !meta.exists() {
            write(
                &meta,
                format!("version=1\ncluster.id={}\nnode.id=1\n", settings.cluster_id),
            )?;
        }
        let (config, logging) = (folder.join("server.properties"), folder.join("log4j2.properties"));
        write(&config, properties(settings, &data))?;
        write(&logging, LOGGING.to_owned())?;

        let mut command = Command::new(&self.java);
        command.args([
            "-Xms64m",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
        ]);
        command.arg("-Djava.awt.headless=true");
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.arg("-cp").arg(self.libs.join("*"));
        command.arg("kafka.Kafka").arg(config).current_dir(folder);
        Ok(command)
    }
}

fn has_kafka(libs: &Path) -> bool {
    let entries = fs::read_dir(libs).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("kafka_2.13-"))
}

/// Returns the broker's configuration: one replica of everything, few internal partitions, no delay before the first
/// rebalance, no automatic topics. The short session lets a killed broker restart at once: the registration of its previous
/// process expires after two seconds.
fn properties(settings: &Settings, data: &Path) -> String {
    let (address, port) = (settings.address, settings.listeners.plaintext);
    let proxied = settings.listeners.proxied;
    let listener = |port: u16| format!(",PROXIED://{address}:{port}");
    let listeners = proxied.map_or_else(String::new, |it| listener(it.internal));
    let advertised = proxied.map_or_else(String::new, |it| listener(it.advertised));
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@{address}:{CONTROLLER}\n\
         listeners=PLAINTEXT://{address}:{port},CONTROLLER://{address}:{CONTROLLER}{listeners}\n\
         advertised.listeners=PLAINTEXT://{address}:{port}{advertised}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         num.partitions=1\n\
         default.replication.factor=1\n\
         min.insync.replicas=1\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         broker.session.timeout.ms=2000\n\
         broker.heartbeat.interval.ms=500\n\
         num.network.threads=2\n\
         num.io.threads=4\n\
         log.cleaner.dedupe.buffer.size=8388608\n\
         num.recovery.threads.per.data.dir=2\n",
        data.display()
    )
}
