//! A thumbnail of pictures of 12 megapixels: by the component, one request after the other, by the
//! same library natively, and by sharp.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use moc_domain::limits::THUMBNAIL_MEMORY_MAX_BYTES;
use moc_thumbnail::thumbnail;
use tokio::process::Command;

use super::Bench;
use crate::client::{Connection, message};
use crate::manifest::write_with_route;
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::median;

/// The component, and its route here.
const THUMBNAILER: &str = "thumbnailer";
const ROUTE: &str = "/thumbnail";
/// The photograph that the pictures are made of, in the project.
const PHOTOGRAPH: &str = "tests/pictures/baseline.jpg";
/// sharp's folder in the project, and where it is installed.
const SOURCE: &str = "xtask/bench/sharp";
const INSTALLED: &str = "target/sharp";
/// The pictures, and what part of sharp's time they may take.
const PICTURES: [(&str, Option<f64>); 5] = [
    ("baseline.jpg", Some(1.5)),
    ("progressive.jpg", Some(1.5)),
    ("photograph.png", None),
    ("photograph.webp", None),
    ("photograph.gif", None),
];

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let root = std::path::absolute(&bench.manifest)?.parent().context("the manifest is in no folder")?.to_owned();
    let Some(sharp) = Sharp::install(&root).await? else {
        println!("thumbnail: skipped, npm is not installed");
        return Ok(());
    };
    let copy = super::TemporaryFile(bench.state.join(format!("moc-bench-{}.toml", std::process::id())));
    write_with_route(&bench.manifest, THUMBNAILER, ROUTE, &copy.0)?;
    let stack = bench.stack(&copy.0).await?;
    let mut connection = Connection::open(stack.app()).await?;
    for (name, goal) in PICTURES {
        let path = sharp.folder.join(name);
        let picture = Bytes::from(std::fs::read(&path)?);
        let request = message(stack.app(), Method::POST, ROUTE, picture.clone())?;
        let (rounds, passes) = bench.choose((5, 3), (3, 1));
        let [mut component, mut native, mut one_thread, mut threads] = [const { Vec::new() }; 4];
        // They take turns, so that a machine that is busy with other things slows all of them.
        for _ in 0..passes {
            for round in 0..=rounds {
                let started = Instant::now();
                let reply = connection.send(request.clone()).await?;
                let taken = started.elapsed().as_secs_f64() * 1e6;
                reply.success()?;
                ensure!(reply.body.starts_with(&[0xff, 0xd8]), "the thumbnail of {name} is no JPEG");
                // The first one may start an instance.
                if round > 0 {
                    component.push(taken);
                }
            }
            for _ in 0..rounds {
                let started = Instant::now();
                let made = thumbnail(&picture, THUMBNAIL_MEMORY_MAX_BYTES);
                native.push(started.elapsed().as_secs_f64() * 1e6);
                made.with_context(|| name.to_owned())?;
            }
            one_thread.extend(sharp.time(&path, rounds, 1).await?);
            threads.extend(sharp.time(&path, rounds, 0).await?);
        }
        let [component, native, one_thread, threads] = [component, native, one_thread, threads].map(median);
        let show = |value| Unit::Microseconds.show(value);
        let mut figure =
            Figure::new(format!("thumbnail of {name}: component / sharp"), component / threads, Unit::Ratio)
                .note(format!(
                    "{} against {} (one thread {}); native {}; {} KiB",
                    show(component),
                    show(threads),
                    show(one_thread),
                    show(native),
                    picture.len() / 1024
                ))
                .detail("componentUs", component)
                .detail("nativeUs", native)
                .detail("sharpUs", threads)
                .detail("sharpOneThreadUs", one_thread);
        if let Some(goal) = goal {
            figure = figure.goal(Goal::Below(goal));
        }
        report.add(figure);
    }
    Ok(())
}

/// sharp, with the pictures that it has made.
struct Sharp {
    folder: PathBuf,
    source: PathBuf,
}

impl Sharp {
    /// Installs what is locked and makes the pictures, unless they are there. `None` if npm is missing.
    async fn install(root: &Path) -> Result<Option<Self>> {
        let sharp = Self { folder: root.join(INSTALLED), source: root.join(SOURCE) };
        let done = sharp.folder.join("installed.json");
        let lock = std::fs::read(sharp.source.join("package-lock.json"))?;
        if std::fs::read(&done).is_ok_and(|installed| installed == lock) {
            return Ok(Some(sharp));
        }
        std::fs::create_dir_all(&sharp.folder)?;
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(sharp.source.join(name), sharp.folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        let status = match npm.current_dir(&sharp.folder).kill_on_drop(true).status().await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            status => status?,
        };
        ensure!(status.success(), "npm does not install sharp: {status}");
        let photograph = root.join(PHOTOGRAPH);
        sharp.node("make.cjs", &[photograph.as_os_str(), sharp.folder.as_os_str()]).await?;
        std::fs::write(done, lock)?;
        Ok(Some(sharp))
    }

    /// Microseconds of each round, with so many threads or as many as it likes.
    async fn time(&self, picture: &Path, rounds: usize, threads: usize) -> Result<Vec<f64>> {
        let [rounds, threads] = [rounds, threads].map(|number| number.to_string());
        let output = self.node("time.cjs", &[picture.as_os_str(), rounds.as_ref(), threads.as_ref()]).await?;
        let taken: Vec<f64> = serde_json::from_slice(&output).context("sharp's times are no JSON")?;
        Ok(taken.into_iter().map(|milliseconds| milliseconds * 1e3).collect())
    }

    async fn node(&self, script: &str, arguments: &[&std::ffi::OsStr]) -> Result<Vec<u8>> {
        let mut node = Command::new("node");
        node.arg(self.source.join(script)).args(arguments).env("NODE_PATH", self.folder.join("node_modules"));
        let output = node.kill_on_drop(true).output().await.context("node cannot be started")?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}
