//! A specification in which something is changed, and the graph that TLC finds for it.

use quorate_refinement::{Graph, Pool, Tlc};
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A folder of `specs`, and the modules there that make the specification: the last is the one that TLC runs.
pub(crate) struct Specification {
    pub(crate) folder: &'static str,
    pub(crate) modules: &'static [&'static str],
}

impl Specification {
    fn read(&self, name: &str) -> String {
        let folder = Path::new(ROOT).join("specs").join(self.folder);
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    /// The text of a configuration without what is checked: what is changed need not hold any more.
    pub(crate) fn configuration(&self, name: &str) -> String {
        let text = self.read(&format!("{name}.cfg"));
        let checked = ["ACTION_CONSTRAINT", "INVARIANT", "PROPERT"];
        let ends = checked.iter().filter_map(|section| text.find(section));
        let end = ends.min().unwrap_or(text.len());
        text[..end].to_owned()
    }

    /// The graph, with `from` replaced by `to` in one of the modules.
    pub(crate) fn graph(
        &self,
        configuration: &str,
        (module, from, to): (&str, &str, &str),
        pool: &mut Pool,
    ) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        for name in self.modules {
            let mut text = self.read(name);
            if *name == module {
                assert_eq!(text.matches(from).count(), 1, "{from} in {name}");
                text = text.replace(from, to);
            }
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let cfg = folder.path().join("Changed.cfg");
        std::fs::write(&cfg, configuration).unwrap();
        let jar = std::env::var("TLC_JAR").map(PathBuf::from);
        let tlc = Tlc {
            jar: jar.unwrap_or_else(|_| Path::new(ROOT).join("target/tlc/tla2tools.jar")),
            heap: "1g".to_owned(),
            workers: 1,
            timeout: Duration::from_secs(600),
        };
        let run = self.modules.last().unwrap();
        tlc.graph(&folder.path().join(run), &cfg, pool).unwrap()
    }
}
