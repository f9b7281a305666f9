//! The clients that need an installation, and how each is started.
#![allow(dead_code, reason = "each test program takes a part of it")]

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::install::{downloads, once, or_skip, sources, step};
use crate::run::{Client, run};

/// Small and soon started.
const JAVA_FLAGS: [&str; 4] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dfile.encoding=UTF-8",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// Apache Kafka's own client, with that heap.
pub(crate) fn java(heap: &str) -> Option<Client> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    java_program("java", "Client", heap, &INSTALLED)
}

/// Kafka Streams' word count. What it unpacks goes to `folder`.
pub(crate) fn streams(heap: &str, folder: &Path) -> Option<Client> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let mut client = java_program("streams", "WordCount", heap, &INSTALLED)?;
    let folder = format!("-Djava.io.tmpdir={}", folder.display());
    client.program.insert(1, folder);
    Some(client)
}

/// A class in a file of its name, with what the `pom.xml` beside it names.
fn java_program(
    name: &'static str,
    class: &str,
    heap: &str,
    installed: &OnceLock<Result<(), String>>,
) -> Option<Client> {
    let jars = downloads(name).join("jars");
    let classes = downloads(name).join("classes");
    let source = sources(name).join(format!("{class}.java"));
    let all_jars = format!("{}/*", jars.display());
    let installed = installed.get_or_init(|| {
        let pom = sources(name).join("pom.xml");
        once(&jars, std::slice::from_ref(&pom), || {
            step(
                Command::new("mvn")
                    .args(["-q", "-B", "dependency:copy-dependencies", "-f"])
                    .arg(&pom)
                    .arg(format!(
                        "-Dmaven.repo.local={}",
                        downloads("maven").display()
                    ))
                    .arg(format!("-DoutputDirectory={}", jars.display())),
            )
        })?;
        step(Command::new("javac").arg("-version"))?;
        once(&classes, std::slice::from_ref(&source), || {
            let mut compile = Command::new("javac");
            compile.args(["-nowarn", "-encoding", "UTF-8", "-cp", &all_jars, "-d"]);
            run(compile.arg(&classes).arg(&source), "");
            Ok(())
        })
    });
    or_skip(installed.clone())?;
    let class_path = format!("{}:{all_jars}", classes.display());
    let mut program = vec!["java".to_owned(), format!("-Xmx{heap}")];
    program.extend(JAVA_FLAGS.map(str::to_owned));
    program.extend(["-cp".to_owned(), class_path, class.to_owned()]);
    Some(Client { name, program })
}

/// One of Apache Kafka's tools, as its scripts call it.
pub(crate) fn java_tool(
    client: &Client,
    address: &str,
    class: &str,
    arguments: &[&str],
) -> Command {
    let mut tool = Command::new(&client.program[0]);
    tool.args(&client.program[1..client.program.len() - 1]);
    tool.arg(format!("org.apache.kafka.tools.{class}"));
    tool.args(["--bootstrap-server", address]);
    tool.args(arguments);
    tool
}

/// confluent, `kafka_python` or aiokafka.
pub(crate) fn python(name: &'static str) -> Option<Client> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let folder = downloads("python");
    let python = folder.join("bin/python");
    let requirements = sources("python").join("requirements.txt");
    let installed = INSTALLED.get_or_init(|| {
        once(&folder, std::slice::from_ref(&requirements), || {
            step(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            step(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"])
                    .args(["--disable-pip-version-check", "--no-cache-dir", "-r"])
                    .arg(&requirements),
            )
        })
    });
    or_skip(installed.clone())?;
    let script = sources("python").join(format!("{name}_client.py"));
    // -B: no compiled files beside the sources.
    let program = [python.to_str()?, "-B", script.to_str()?].map(str::to_owned);
    Some(Client {
        name,
        program: program.into(),
    })
}

fn go_command() -> Command {
    let mut go = Command::new("go");
    go.current_dir(sources("go"));
    go.env("GOMODCACHE", downloads("go").join("modules"));
    go
}

/// franz or sarama.
pub(crate) fn go(name: &'static str) -> Option<Client> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let programs = downloads("go").join("bin");
    let installed = INSTALLED.get_or_init(|| {
        step(go_command().args(["mod", "download", "-modcacherw"]))?;
        std::fs::create_dir_all(&programs).unwrap();
        let mut build = go_command();
        build.args(["build", "-modcacherw", "-buildvcs=false", "-o"]);
        run(build.arg(&programs).arg("./..."), "");
        Ok(())
    });
    or_skip(installed.clone())?;
    Some(Client {
        name,
        program: vec![programs.join(name).to_str()?.to_owned()],
    })
}

/// kafkajs.
pub(crate) fn javascript() -> Option<Client> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let folder = downloads("js");
    let installed = INSTALLED.get_or_init(|| {
        step(Command::new("node").arg("--version"))?;
        let wanted = ["package.json", "package-lock.json"].map(|file| sources("js").join(file));
        once(&folder, &wanted, || {
            for file in &wanted {
                std::fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
            }
            step(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&folder),
            )
        })
    });
    or_skip(installed.clone())?;
    let modules = format!("NODE_PATH={}", folder.join("node_modules").display());
    let script = sources("js").join("kafkajs_client.js");
    let program = ["env", &modules, "node", script.to_str()?].map(str::to_owned);
    Some(Client {
        name: "kafkajs",
        program: program.into(),
    })
}
