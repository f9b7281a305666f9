//! Apache Kafka's `kafka-consumer-groups`. What it is expected to print is what it prints
//! of Apache Kafka 4.3.1, but for what the server says of an unknown group in its own words.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::common::{PATIENCE, eventually};
use crate::judge::{What, consumed};
use crate::languages::java_tool;
use crate::member::{Kind, Log, Member};
use crate::run::{Client, try_run};
use crate::scenario::Slot;
use crate::server::Server;

const RECORDS: i64 = 5;

/// A group with one member, which has read and committed 5 records in each of 3 partitions.
struct Group<'a> {
    client: &'a Client,
    server: Server,
    kind: Kind,
    topic: String,
    name: String,
    log: Arc<Log>,
    member: Option<Member>,
    /// As the tool shows it.
    member_id: String,
    _slot: Slot,
}

impl<'a> Group<'a> {
    fn new(client: &'a Client, assignor: &'static str) -> Self {
        let slot = Slot::take();
        let server = Server::shared();
        let name = format!("tools-{assignor}-group");
        let topic = format!("tools-{assignor}-topic");
        server.create_topic(&topic, 3);
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", server.address())
            .create()
            .unwrap();
        for partition in (0..3).cycle().take(3 * RECORDS as usize) {
            let record = BaseRecord::<str, str>::to(&topic).payload("v");
            producer.send(record.partition(partition)).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        let mut group = Group {
            client,
            server,
            kind: Kind::program(client, assignor),
            topic,
            name,
            log: Arc::new(Log::new()),
            member: None,
            member_id: "?".to_owned(),
            _slot: slot,
        };
        group.member_reads_on(&[0, 1, 2]);
        let members = group.tool(&["--describe", "--members"]);
        let id = members[1].split(' ').nth(1);
        let id = id.unwrap_or_else(|| panic!("{members:?}"));
        group.member_id = String::from(id);
        group
    }

    /// A member comes and commits all that there is to read, in these partitions; what it
    /// has read.
    fn member_reads_on(&mut self, partitions: &[i32]) -> BTreeSet<(i32, i64)> {
        self.log = Arc::new(Log::new());
        let mut command = (self.kind.command)(self.server.address(), &self.topic, &self.name);
        let member = Member::start(&self.log, 0, self.kind.leaves, &mut command);
        self.member = Some(member);
        eventually("all is committed", || {
            let events = self.log.events();
            let ends = events.iter().filter_map(|event| match event.what {
                What::Committed { partition, offset } if offset == RECORDS => Some(partition),
                _ => None,
            });
            ends.collect::<BTreeSet<_>>() == partitions.iter().copied().collect()
        });
        consumed(&self.log.events())
    }

    fn member_leaves(&mut self) {
        let mut member = self.member.take().unwrap();
        member.leave();
        eventually("the member ends", || member.ended().is_some());
    }

    /// What the tool says of all groups: line by line, with single spaces, in any order.
    fn tool_of_all(&self, arguments: &[&str]) -> BTreeSet<String> {
        self.tool_lines(arguments).into_iter().collect()
    }

    /// What it says of this group; the member's id is ID there.
    fn tool(&self, arguments: &[&str]) -> Vec<String> {
        let group = ["--group", &self.name];
        self.tool_lines(&[arguments, &group].concat())
    }

    fn tool_lines(&self, arguments: &[&str]) -> Vec<String> {
        let class = "consumer.group.ConsumerGroupCommand";
        let mut tool = java_tool(self.client, self.server.address(), class, arguments);
        let said = try_run(&mut tool, "").map_or_else(|error| error, |said| said.stdout);
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        words
            .map(|line| line.replace(&self.member_id, "ID"))
            .collect()
    }

    /// `expected` after a header line; GROUP, TOPIC, CLIENT and SERVER stand for what they are.
    #[track_caller]
    fn prints(&self, arguments: &[&str], expected: &[&str]) {
        let mut found = self.tool(arguments);
        let mut expected: Vec<_> = expected.iter().map(|line| self.named(line)).collect();
        // Partitions come in any order.
        found[1..].sort();
        expected[1..].sort();
        assert_eq!(found, expected, "{arguments:?}");
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], reason: &str) {
        let found = self.tool(arguments).join("\n");
        let reason = self.named(reason);
        assert!(found.contains(&reason), "{arguments:?}: {found}");
    }

    fn named(&self, line: &str) -> String {
        let client = format!("consumer-{}-1", self.name);
        line.replace("the-group", &self.name)
            .replace("the-topic", &self.topic)
            .replace("the-client", &client)
            .replace("the-server", self.server.address())
    }
}

const OFFSETS: &str =
    "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID";
const STATE: &str = "GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE #MEMBERS";
const MEMBERS: &str = "GROUP CONSUMER-ID HOST CLIENT-ID #PARTITIONS";
const NEW_OFFSETS: &str = "GROUP TOPIC PARTITION NEW-OFFSET";

fn lists(group: &Group, filter: &[&str]) -> bool {
    let listed = group.tool_of_all(&[&["--list"], filter].concat());
    let mut names = listed.iter().map(|line| line.split(' ').next());
    names.any(|name| name == Some(&group.name))
}

pub(crate) fn show_and_change_a_classic_group(client: &Client) {
    let mut group = Group::new(client, "range");
    assert!(lists(&group, &["--state", "stable"]));
    assert!(!lists(&group, &["--state", "empty,dead"]));
    assert!(!lists(&group, &["--type", "consumer"]));
    let listed = group.tool_of_all(&["--list", "--state", "--type"]);
    assert!(
        listed.contains(&group.named("the-group Classic Stable")),
        "{listed:?}"
    );

    let verbose_members =
        format!("{MEMBERS} CURRENT-EPOCH CURRENT-ASSIGNMENT TARGET-EPOCH TARGET-ASSIGNMENT");
    group.prints(
        &["--describe"],
        &[
            OFFSETS,
            "the-group the-topic 0 5 5 0 ID /127.0.0.1 the-client",
            "the-group the-topic 1 5 5 0 ID /127.0.0.1 the-client",
            "the-group the-topic 2 5 5 0 ID /127.0.0.1 the-client",
        ],
    );
    group.prints(
        &["--describe", "--members"],
        &[MEMBERS, "the-group ID /127.0.0.1 the-client 3"],
    );
    group.prints(
        &["--describe", "--members", "--verbose"],
        &[
            &verbose_members,
            "the-group ID /127.0.0.1 the-client 3 - the-topic:0,1,2 - -",
        ],
    );
    group.prints(
        &["--describe", "--state"],
        &[STATE, "the-group the-server (1) range Stable 1"],
    );

    let all_topics = ["--all-topics", "--execute"];
    group.refuses(
        &[&["--reset-offsets", "--to-earliest"], &all_topics[..]].concat(),
        "Assignments can only be reset if the group 'the-group' is inactive, but the current state is Stable.",
    );
    group.refuses(
        &["--delete"],
        "GroupNotEmptyException: The group is not empty.",
    );
    group.refuses(
        &["--delete-offsets", "--topic", &group.topic],
        "GroupSubscribedToTopicException",
    );

    group.member_leaves();
    group.prints(
        &["--describe"],
        &[
            OFFSETS,
            "the-group the-topic 0 5 5 0 - - -",
            "the-group the-topic 1 5 5 0 - - -",
            "the-group the-topic 2 5 5 0 - - -",
        ],
    );
    group.prints(
        &["--describe", "--state"],
        &[STATE, "the-group the-server (1) - Empty 0"],
    );
    change_offsets(&mut group);
    delete(&mut group);
}

/// The member that comes then begins where the tool says.
fn change_offsets(group: &mut Group) {
    let topic = group.topic.clone();
    let reset = |partitions: &str, how: &[&str], expected: &[&str]| {
        let topic = format!("{topic}{partitions}");
        let arguments = ["--reset-offsets", "--topic", &topic];
        let expected = [&[NEW_OFFSETS], expected].concat();
        group.prints(&[&arguments, how].concat(), &expected);
    };
    reset(
        "",
        &["--to-earliest", "--dry-run"],
        &[
            "the-group the-topic 0 0",
            "the-group the-topic 1 0",
            "the-group the-topic 2 0",
        ],
    );
    reset(
        ":0,1",
        &["--to-earliest", "--execute"],
        &["the-group the-topic 0 0", "the-group the-topic 1 0"],
    );
    reset(
        ":0",
        &["--shift-by", "2", "--execute"],
        &["the-group the-topic 0 2"],
    );
    reset(
        ":1",
        &["--to-offset", "4", "--execute"],
        &["the-group the-topic 1 4"],
    );
    group.prints(
        &["--delete-offsets", "--topic", &format!("{topic}:2")],
        &[
            "Request succeeded for deleting offsets from group the-group.",
            "TOPIC PARTITION STATUS",
            "the-topic 2 Successful",
        ],
    );
    group.prints(
        &["--describe", "--offsets"],
        &[
            OFFSETS,
            "the-group the-topic 0 2 5 3 - - -",
            "the-group the-topic 1 4 5 1 - - -",
        ],
    );
    let read = group.member_reads_on(&[0, 1, 2]);
    let expected = [(0, 2..5), (1, 4..5), (2, 0..5)];
    let expected = expected.map(|(partition, offsets)| offsets.map(move |o| (partition, o)));
    assert_eq!(read, expected.into_iter().flatten().collect());
    group.member_leaves();
}

fn delete(group: &mut Group) {
    let gone = "GroupIdNotFoundException: The group id does not exist.";
    group.prints(
        &["--delete"],
        &["Deletion of requested consumer groups ('the-group') was successful."],
    );
    assert!(!lists(group, &[]));
    group.refuses(&["--delete"], gone);
    // Apache Kafka goes on with "Group NAME not found.": the words are the server's own, and
    // pg_kafka has others; the error and the group are the same.
    let found = group.tool(&["--describe"]).join("\n");
    let named = found.lines().any(|line| {
        line.contains("common.errors.GroupIdNotFoundException: ") && line.contains(&group.name)
    });
    assert!(named, "{found}");
}

pub(crate) fn show_a_group_that_the_server_assigns(client: &Client) {
    let mut group = Group::new(client, "consumer");
    assert!(lists(&group, &["--type", "consumer"]));
    group.prints(
        &["--describe", "--members"],
        &[MEMBERS, "the-group ID /127.0.0.1 the-client 3"],
    );
    group.prints(
        &["--describe", "--state"],
        &[STATE, "the-group the-server (1) uniform Stable 1"],
    );
    // The epochs themselves are the server's business; here all agree.
    let state = group.tool(&["--describe", "--state", "--verbose"]);
    let epoch = state[1].split(' ').nth(5).unwrap();
    assert!(
        epoch.parse::<u32>().is_ok_and(|epoch| epoch > 0),
        "{state:?}"
    );
    let expected = format!("the-group the-server (1) uniform Stable {epoch} {epoch} 1");
    assert_eq!(state[1], group.named(&expected));
    let members = group.tool(&["--describe", "--members", "--verbose"]);
    let expected = format!(
        "the-group ID /127.0.0.1 the-client 3 {epoch} the-topic:0,1,2 {epoch} the-topic:0,1,2"
    );
    assert_eq!(members[1], group.named(&expected));
    group.refuses(
        &["--delete"],
        "GroupNotEmptyException: The group is not empty.",
    );

    group.member_leaves();
    group.prints(
        &["--describe", "--state"],
        &[STATE, "the-group the-server (1) uniform Empty 0"],
    );
    let topic = format!("{}:0", group.topic);
    group.prints(
        &[
            "--reset-offsets",
            "--topic",
            &topic,
            "--shift-by",
            "-2",
            "--execute",
        ],
        &[NEW_OFFSETS, "the-group the-topic 0 3"],
    );
    assert_eq!(group.member_reads_on(&[0]), [(0, 3), (0, 4)].into());
    group.member_leaves();
    delete(&mut group);
}
