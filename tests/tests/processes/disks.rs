//! Disks with less, or something else, on them than was written.

use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::load::{Load, all_there};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The newest file of the record log in a data directory.
fn newest_segment(data: &Path) -> PathBuf {
    let entries = fs::read_dir(data.join("segments")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|name| name == "raftlog"));
    segments.max().unwrap()
}

/// A member that lost what it had acknowledged cannot be helped by a leader that remembers it, and no
/// disk tells that from a write that was torn. So all are killed, when all have everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_is_cut_off_and_fetched_again() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let load = Load::start(&client, "load", 4);
    load.more(300).await;
    let mut acknowledged = load.stop().await;
    let applied = cluster.applied().await;
    for id in cluster.ids() {
        cluster.caught_up(id, applied).await;
    }
    for id in cluster.ids() {
        cluster.kill(id);
    }
    // Of one member the end of the last write is missing; of another there is a piece of one more.
    let segment = |id| newest_segment(&cluster.data(id));
    let open = |path| fs::File::options().append(true).open(path).unwrap();
    let length = segment(1).metadata().unwrap().len();
    open(segment(1)).set_len(length - 5).unwrap();
    let written = fs::read(segment(2)).unwrap();
    let piece = &written[written.len() / 2..][..50];
    open(segment(2)).write_all(piece).unwrap();

    for id in cluster.ids() {
        cluster.start_member(id);
    }
    let load = Load::start(&client, "more", 4);
    load.more(100).await;
    acknowledged.append(&mut load.stop().await);
    let applied = cluster.applied().await;
    for id in cluster.ids() {
        cluster.caught_up(id, applied).await;
    }
    // The member that had lost something is one of a majority now.
    cluster.kill(3);
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_refused_by_name_and_nothing_is_changed() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let leader = cluster.leader().await;
    let follower = cluster.others(leader.id)[0];
    let needle = "a value that can be found on the disk";
    client.put("needle", needle).await.unwrap();
    let load = Load::start(&client, "load", 4);
    load.more(300).await;
    cluster.kill(follower);
    let segment = newest_segment(&cluster.data(follower));
    let whole = fs::read(&segment).unwrap();
    let mut windows = whole.windows(needle.len());
    let place = windows.position(|part| part == needle.as_bytes()).unwrap();
    let mut damaged = whole.clone();
    damaged[place] ^= 1;
    fs::write(&segment, &damaged).unwrap();

    cluster.start_member(follower);
    let ended = cluster.ended(follower).await;
    assert_eq!(ended.code, Some(4));
    let log = cluster.log(follower);
    assert!(log.contains("the record log is damaged at byte"), "{log}");
    assert!(log.contains(segment.to_str().unwrap()), "{log}");
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing was changed");
    load.more(100).await;

    // Restored, it takes part again.
    fs::write(&segment, &whole).unwrap();
    cluster.start_member(follower);
    cluster.caught_up(follower, cluster.applied().await).await;
    let acknowledged = load.stop().await;
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_a_data_directory_is_refused() {
    let cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    client.put("key", "value").await.unwrap();

    // Addresses of its own, so that nothing but the directory is in its way.
    let other = Cluster::create(Setup::default());
    let path = |cluster: &Cluster| cluster.data(1).display().to_string();
    other.write_config(1, |config| config.replace(&path(&other), &path(&cluster)));
    let mut other = other;
    other.start_member(1);
    assert_eq!(other.ended(1).await.code, Some(4));
    let log = other.log(1);
    let expected = format!(
        "the data directory {} is in use by process ",
        path(&cluster)
    );
    assert!(log.contains(&expected), "{log}");

    client.put("key", "another").await.unwrap();
    cluster.finish().await;
}
