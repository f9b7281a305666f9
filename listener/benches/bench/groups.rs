//! What members that do nothing but heartbeat cost: CPU of listener and server, and WAL.
//!
//! A thousand clients of a real kind would need more processor than there is to measure, so
//! the members here speak the protocol by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_core::code;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::Bench;
use crate::process::cpu;
use crate::support::Result;
use crate::wire::Connection;

const GROUPS: usize = 200;
const MEMBERS: usize = 5;
const PATIENCE: Duration = Duration::from_mins(3);
const INTERVAL: Duration = Duration::from_secs(3);

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    let time = Duration::from_secs(if bench.quick { 15 } else { 60 });
    bench.report.title(&format!(
        "Groups: {GROUPS} of {MEMBERS} members, a heartbeat each {} s, over {} s",
        INTERVAL.as_secs(),
        time.as_secs()
    ));
    let client = bench.cluster.connect("bench").await?;
    let beats = Arc::new(AtomicU64::new(0));
    let members: Vec<_> = (0..GROUPS * MEMBERS)
        .map(|number| {
            let (address, beats) = (bench.listener.address.clone(), Arc::clone(&beats));
            tokio::spawn(async move {
                if let Err(error) = member(&address, number, &beats).await {
                    eprintln!("bench: member {number}: {error}");
                }
            })
        })
        .collect();
    stable(&client).await?;
    // Settled: everybody heartbeats.
    tokio::time::sleep(INTERVAL * 2).await;
    let wal = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
    let look = async || -> Result<(f64, f64, f64, u64)> {
        let wal: f64 = client.query_one(wal, &[]).await?.get(0);
        let count = beats.load(Ordering::Relaxed);
        Ok((
            cpu(bench.listener.pid())?,
            cpu(bench.cluster.pid()?)?,
            wal,
            count,
        ))
    };
    let before = look().await?;
    tokio::time::sleep(time).await;
    let after = look().await?;
    for member in members {
        member.abort();
    }
    bench.report.header(&[
        "heartbeats per second",
        "CPU s, listener",
        "CPU s, server",
        "% of one core",
        "WAL bytes per heartbeat",
    ]);
    let (listener, server) = (after.0 - before.0, after.1 - before.1);
    let count = (after.3 - before.3) as f64;
    bench.report.row(&[
        &format!("{:.0}", count / time.as_secs_f64()),
        &format!("{listener:.2}"),
        &format!("{server:.2}"),
        &format!("{:.1}", 100.0 * (listener + server) / time.as_secs_f64()),
        &format!("{:.0}", (after.2 - before.2) / count),
    ]);
    Ok(())
}

/// Waits until all groups are.
async fn stable(client: &tokio_postgres::Client) -> Result<()> {
    let stable =
        "select count(*) from kafka.groups where state = 'Stable' and member_count = $1::int8";
    let until = Instant::now() + PATIENCE;
    while client
        .query_one(stable, &[&i64::try_from(MEMBERS)?])
        .await?
        .get::<_, i64>(0)
        < i64::try_from(GROUPS)?
    {
        if Instant::now() > until {
            return Err("the groups do not become stable".into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn member(address: &str, number: usize, beats: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let group_id = GroupId(StrBytes::from_string(format!("bench-{}", number / MEMBERS)));
    let mut member_id = StrBytes::default();
    loop {
        let joined = join(&mut connection, &group_id, &member_id).await?;
        member_id = joined.member_id.clone();
        let sync = sync_request(&group_id, &joined);
        if joined.error_code == code::MEMBER_ID_REQUIRED {
            continue;
        }
        let synced = connection.call(5, &sync).await?.error_code;
        // One more has joined meanwhile.
        if synced == code::REBALANCE_IN_PROGRESS {
            continue;
        }
        for error_code in [joined.error_code, synced] {
            if error_code != code::NONE {
                return Err(format!("cannot join: error {error_code}").into());
            }
        }
        let heartbeat = HeartbeatRequest::default()
            .with_group_id(group_id.clone())
            .with_generation_id(joined.generation_id)
            .with_member_id(member_id.clone());
        loop {
            tokio::time::sleep(INTERVAL).await;
            let error_code = connection.call(4, &heartbeat).await?.error_code;
            beats.fetch_add(1, Ordering::Relaxed);
            if error_code != code::NONE {
                break;
            }
        }
    }
}

async fn join(
    connection: &mut Connection,
    group_id: &GroupId,
    member_id: &StrBytes,
) -> Result<JoinGroupResponse> {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("none"))
        .with_metadata(Bytes::from_static(&[0; 100]));
    let request = JoinGroupRequest::default()
        .with_group_id(group_id.clone())
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(member_id.clone())
        .with_protocol_type(StrBytes::from_static_str("bench"))
        .with_protocols(vec![protocol]);
    connection.call(9, &request).await
}

fn sync_request(group_id: &GroupId, joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assignments = joined.members.iter().map(|member| {
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(Bytes::from_static(&[0; 100]))
    });
    SyncGroupRequest::default()
        .with_group_id(group_id.clone())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(joined.protocol_type.clone())
        .with_protocol_name(joined.protocol_name.clone())
        .with_assignments(assignments.collect())
}
