//! Containers of the task runtime: their file system, exit status, and adoption after a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use endpoint_runtime::task::launch_request::Command;
use endpoint_runtime::task::memory::Usage;
use endpoint_runtime::task::output::Output;
use endpoint_runtime::task::process::{self, Container};
use endpoint_runtime::task::{self, ExitStatus, Limit, Settings, VolumeMount};

fn main() {
    if std::env::args().nth(1).as_deref() == Some(task::ARGUMENT) {
        task::init_main();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = shell_image(&folder.path().join("image"));
    runtime.block_on(async {
        a_container_sees_only_its_image(folder.path(), &image).await;
        stop_sends_sigterm_and_returns_the_exit_code(folder.path(), &image).await;
        a_command_that_the_image_lacks_is_an_error(folder.path(), &image).await;
        the_endpoints_ca_bundles_replace_the_images(folder.path(), &image).await;
        a_health_check_runs_in_the_container(folder.path(), &image).await;
        an_init_forwards_signals_and_returns_the_exit_code(folder.path(), &image).await;
        containers_share_volumes_and_have_limits(folder.path(), &image).await;
        the_memory_of_a_container_is_measured(folder.path(), &image).await;
    });
    println!("task: 8 passed");
}

async fn a_container_sees_only_its_image(folder: &Path, image: &Path) {
    let script = "echo \"$GREETING $$\"; [ -e /root ] || echo no /root; [ -e /proc/self ] && echo proc; \
                  (echo x > /bin/new) 2>/dev/null || echo read-only; echo x > /tmp/new && echo tmp; \
                  while read -r line; do echo \"$line\"; done < /etc/hosts";
    let container = start(folder, "sees", image, script, "7:8").await;
    assert_eq!(
        container.wait().await,
        ExitStatus {
            code: Some(0),
            reason: None
        }
    );
    let lines = Output::open(&container.folder).unwrap().lines(true).unwrap();
    // The command is the first process of its namespace, with pid 1.
    assert_eq!(
        lines,
        [
            "hello 1",
            "no /root",
            "proc",
            "read-only",
            "tmp",
            "127.0.0.1\tlocalhost"
        ]
    );
}

async fn stop_sends_sigterm_and_returns_the_exit_code(folder: &Path, image: &Path) {
    let container = start(
        folder,
        "ends",
        image,
        "trap 'exit 42' TERM; echo up; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| fs::read_to_string(container.folder.join("output")).is_ok_and(|text| text.contains("up"))).await;
    // A restarted endpoint knows only the folder and the supervisor.
    let adopted = Container {
        folder: container.folder.clone(),
        supervisor: container.supervisor,
    };
    assert_eq!(adopted.exit_status(), None);
    let stubborn = start(
        folder,
        "stubborn",
        image,
        "trap '' TERM; echo up; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| fs::read_to_string(stubborn.folder.join("output")).is_ok_and(|text| text.contains("up"))).await;
    assert_eq!(stubborn.stop(Duration::from_millis(300)).await.code, Some(137));
    let process = adopted.process().unwrap();
    // In some shells `read` from /dev/zero never returns: then the trap does not run, and the container is killed.
    let code = adopted.stop(Duration::from_secs(2)).await.code;
    assert!(code == Some(42) || code == Some(137), "{code:?}");
    assert!(!process.is_alive());
}

async fn a_command_that_the_image_lacks_is_an_error(folder: &Path, image: &Path) {
    let command = Command {
        argv: vec!["/usr/bin/env".into()],
        env: vec![],
        user: String::new(),
        working_dir: String::new(),
        init: false,
    };
    let container = process::start(&folder.join("lacks"), image, command, Settings::default())
        .await
        .unwrap();
    let status = container.wait().await;
    assert_eq!(status.code, None);
    assert!(
        status.reason.as_deref().is_some_and(|r| r.contains("/usr/bin/env")),
        "{status:?}"
    );
}

async fn the_endpoints_ca_bundles_replace_the_images(folder: &Path, image: &Path) {
    let own = folder.join("trusts");
    for bundle in task::SYSTEM_CA_BUNDLES.iter().chain([&task::RDS_CA_BUNDLE]) {
        let path = image.join(bundle.image_path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir_all(&own).unwrap();
        fs::write(path, "the image's").unwrap();
        fs::write(own.join(bundle.file), format!("mounted at {}\n", bundle.image_path)).unwrap();
    }
    // A bundle that the image does not have is not created.
    fs::remove_file(image.join(task::SYSTEM_CA_BUNDLES[2].image_path)).unwrap();
    let script = "for file in /etc/ssl/certs/* /etc/pki/tls/certs/*; do read -r line < \"$file\"; echo \"$line\"; done; \
                  [ -e /etc/ssl/cert.pem ] || echo none; (echo x > /etc/ssl/certs/ca-certificates.crt) 2>/dev/null || echo sealed";
    let container = start(folder, "trusts", image, script, "").await;
    assert_eq!(container.wait().await.code, Some(0));
    let lines = Output::open(&container.folder).unwrap().lines(true).unwrap();
    assert_eq!(
        lines,
        [
            "mounted at etc/ssl/certs/ca-certificates.crt",
            "mounted at etc/ssl/certs/rds-global-bundle.pem",
            "mounted at etc/pki/tls/certs/ca-bundle.crt",
            "none",
            "sealed"
        ]
    );
}

async fn a_health_check_runs_in_the_container(folder: &Path, image: &Path) {
    let container = start(
        folder,
        "checked",
        image,
        "echo x > /tmp/healthy; while :; do read -r x < /dev/zero; done",
        "",
    )
    .await;
    until(|| container.process().is_some()).await;
    let check = |script: &str| {
        let (container, command) = (container.clone(), shell(script, ""));
        async move {
            container
                .exec_succeeds(image, command, Duration::from_secs(5))
                .await
                .unwrap()
        }
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(check("[ -e /tmp/healthy ]").await);
    assert!(!check("[ -e /root ]").await);
    container.stop(Duration::ZERO).await;
}

async fn an_init_forwards_signals_and_returns_the_exit_code(folder: &Path, image: &Path) {
    let run = |name: &'static str, script: &'static str| async move {
        let command = Command {
            init: true,
            ..shell(script, "7:8")
        };
        process::start(&folder.join(name), image, command, Settings::default())
            .await
            .unwrap()
    };
    let up = |container: &Container| {
        let output = container.folder.join("output");
        move || fs::read_to_string(&output).is_ok_and(|text| text.contains("up"))
    };
    // Process 1 without a handler ignores SIGTERM. Under an init the command is process 2, and the signal ends it.
    let deaf = run("deaf", "echo up $$; while :; do read -r x < /dev/zero; done").await;
    until(up(&deaf)).await;
    let lines = Output::open(&deaf.folder).unwrap().lines(true).unwrap();
    assert_eq!(lines, ["up 2"]);
    let stopped = std::time::Instant::now();
    assert_eq!(deaf.stop(Duration::from_secs(20)).await.code, Some(128 + 15));
    assert!(
        stopped.elapsed() < Duration::from_secs(10),
        "the grace period did not run out"
    );
    let handler = run("handler", "trap 'exit 42' TERM; echo up; while :; do :; done").await;
    until(up(&handler)).await;
    assert_eq!(handler.stop(Duration::from_secs(20)).await.code, Some(42));
    // The init reaps orphans, and the container ends with its command.
    let orphans = run("orphans", "( ( : ) & ); exit 3").await;
    assert_eq!(orphans.wait().await.code, Some(3));
    let missing = Command {
        argv: vec!["/usr/bin/env".into()],
        init: true,
        ..shell("", "")
    };
    let missing = process::start(&folder.join("init-lacks"), image, missing, Settings::default())
        .await
        .unwrap()
        .wait()
        .await;
    assert!(missing.code.is_none() && missing.reason.is_some(), "{missing:?}");
}

async fn containers_share_volumes_and_have_limits(folder: &Path, image: &Path) {
    let volume = folder.join("volume");
    fs::create_dir_all(&volume).unwrap();
    // A place in a folder of the image, behind a link of the image, and at the top.
    fs::create_dir_all(image.join("var/lib")).unwrap();
    fs::write(image.join("var/lib/own"), "own\n").unwrap();
    std::os::unix::fs::symlink("/var/lib", image.join("link")).unwrap();
    let run = |name: &'static str, script: &'static str| {
        let mount = |target: &str, read_only| VolumeMount {
            source: volume.clone(),
            target: target.into(),
            read_only,
        };
        let settings = Settings {
            mounts: vec![
                mount("/var/lib/shared", false),
                mount("/link/other", false),
                mount("/data", true),
            ],
            limits: vec![Limit {
                name: "nofile".into(),
                soft: Some(77),
                hard: Some(88),
            }],
            ..Settings::default()
        };
        process::start(&folder.join(name), image, shell(script, ""), settings)
    };
    let writes = run(
        "writes",
        "echo shared > /var/lib/shared/file; ulimit -n; [ -e /.volumes ] || echo clean",
    )
    .await
    .unwrap();
    assert_eq!(writes.wait().await.code, Some(0), "{:?}", writes.exit_status());
    let reads = "for file in /data/file /link/other/file /var/lib/own; do read -r line < $file; echo \"$line\"; done; \
                 (echo x > /data/new) 2>/dev/null || echo read-only";
    let reads = run("reads", reads).await.unwrap();
    assert_eq!(reads.wait().await.code, Some(0), "{:?}", reads.exit_status());
    let lines = |container: &Container| Output::open(&container.folder).unwrap().lines(true).unwrap();
    assert_eq!(lines(&writes), ["77", "clean"]);
    assert_eq!(lines(&reads), ["shared", "shared", "own", "read-only"]);
}

async fn the_memory_of_a_container_is_measured(folder: &Path, image: &Path) {
    // The shell keeps a text of 32 MiB.
    let script = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do x=$x$x; done; echo up; \
                  while :; do read -r y < /dev/zero; done";
    let container = start(folder, "large", image, script, "").await;
    until(|| fs::read_to_string(container.folder.join("output")).is_ok_and(|text| text.contains("up"))).await;
    let usage = Usage::measure();
    let bytes = usage.of(&container);
    assert!(bytes >= 32 << 20, "{bytes}");
    assert!(usage.proportional(&container) >= 32 << 20);
    container.kill_for_memory();
    assert_eq!(container.wait().await.code, Some(137));
    assert!(container.ran_out_of_memory());
    assert_eq!(Usage::measure().of(&container), 0);
}

async fn start(folder: &Path, name: &str, image: &Path, script: &str, user: &str) -> Container {
    process::start(&folder.join(name), image, shell(script, user), Settings::default())
        .await
        .unwrap()
}

fn shell(script: &str, user: &str) -> Command {
    Command {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
        user: user.into(),
        working_dir: String::new(),
        init: false,
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..100 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the condition did not become true within five seconds");
}

/// Creates an image that contains only the machine's shell and its libraries.
fn shell_image(root: &Path) -> PathBuf {
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/sh", root.join("bin/sh")).unwrap();
    let needed = std::process::Command::new("ldd")
        .arg("/bin/sh")
        .output()
        .unwrap()
        .stdout;
    for word in String::from_utf8_lossy(&needed)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let target = root.join(&word[1..]);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(word, target).unwrap();
    }
    root.to_owned()
}
