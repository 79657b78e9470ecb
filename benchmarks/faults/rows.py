"""The faults as data: each row has a place, a fault and the expected outcome.

Most rows name the tests that inject the fault, without their parameters. A row with `run` injects
it into a running server while another client measures (`live`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from benchmarks.faults import live, live_hub

HUB: Final = "tests/hextrackr_server"
IMPORTS: Final = f"{HUB}/imports"
CONDITIONS: Final = (
    "tests/contract/test_conditions.py::"
    "test_condition_is_logged_in_one_line_with_a_traceback_at_debug_only"
)
BROKER: Final = "tests/socketio_core/redis/test_broker_failure.py::"
LOCK: Final = f"{HUB}/postgres/test_server_lock_on_postgres.py::"
THROUGH_PROXY: Final = (
    "tests/socketio_core/redis/test_broker_through_proxy.py",
    "tests/socketio_core/postgres/test_postgres_through_proxy.py",
)
PROXIED: Final = (
    "test_messages_arrive_in_order_over_a_slow_network",
    "test_half_open_connections_are_opened_again",
    "test_connections_are_opened_again_after_wrong_answers",
)
DRAIN: Final = "tests/interop/test_drain_faults.py::"


class Fault(NamedTuple):
    """A fault at a place, and its expected outcome.

    `tests` are node IDs of pytest; one without brackets stands for all of its parameters.
    """

    place: str
    fault: str
    outcome: str
    tests: tuple[str, ...] = ()
    run: Callable[[], Awaitable[live.Outcome]] | None = None


FAULTS: Final = (
    Fault(
        "import",
        "kill -9 after each statement and each report of progress",
        "nothing is changed; the next import is complete",
        (
            f"{IMPORTS}/test_killed_imports.py::"
            "test_killed_import_changes_nothing_and_the_next_one_is_complete",
        ),
    ),
    Fault(
        "import on PostgreSQL",
        "kill -9 after each statement and each report of progress",
        "nothing is changed; the next import is complete",
        (
            f"{HUB}/postgres/test_killed_imports_on_postgres.py::"
            "test_killed_import_changes_nothing_and_the_next_one_is_complete",
        ),
    ),
    Fault(
        "process that reads a file",
        "kill -9",
        "the import fails with the signal; nothing is changed",
        (
            f"{IMPORTS}/test_reading_process.py::"
            "test_process_that_is_killed_fails_the_import_with_its_signal",
        ),
    ),
    Fault(
        "undo of an import",
        "kill -9 after each statement",
        "undone completely or not at all",
        (
            f"{IMPORTS}/test_killed_imports.py::"
            "test_killed_undo_changes_nothing_and_the_next_one_is_complete",
        ),
    ),
    Fault(
        "KEV synchronization",
        "kill -9 after each statement",
        "the former catalog stays",
        (
            f"{HUB}/storage/test_killed_calls.py::"
            "test_killed_kev_synchronization_leaves_the_former_catalog",
        ),
    ),
    Fault(
        "import, undo, KEV synchronization, restore",
        "kill -9 between the commit and the events",
        "the next server sends the events, once",
        tuple(
            f"tests/contract/test_announcements_after_restart.py::{name}"
            for name in (
                "test_change_without_events_is_announced_once_after_a_restart",
                "test_new_catalog_also_announces_the_one_before",
                "test_undone_import_is_not_announced",
            )
        ),
    ),
    Fault(
        "source of the KEV catalog",
        "sends headers, body or TLS byte by byte, or nothing",
        "the synchronization fails at its deadline",
        (
            f"{HUB}/kev/test_catalog.py::"
            "test_fetch_ends_at_its_deadline_when_the_source_sends_byte_by_byte",
            f"{HUB}/kev/test_catalog.py::test_fetch_times_out_when_the_source_is_silent",
        ),
    ),
    Fault(
        "source of the KEV catalog",
        "sends one very long string or line, or millions of values, columns or lines",
        "parsed in a process of its own; the former catalog stays",
        (
            f"{HUB}/kev/test_service.py::"
            "test_source_of_rubbish_fails_the_synchronization_and_the_former_catalog_stays",
        ),
    ),
    Fault(
        "source of the KEV catalog",
        "its name cannot be resolved",
        "one line in the log; 503 with the reason",
        (f"{CONDITIONS}[KEV source: DNS-20]",),
    ),
    Fault(
        "migration",
        "kill -9 after each seventh statement",
        "the former schema stays; the next start migrates",
        (f"{HUB}/storage/test_killed_calls.py::test_killed_migration_leaves_the_former_schema",),
    ),
    Fault(
        "backup",
        "kill -9",
        "no file of that name",
        (f"{HUB}/backup/test_archive.py::test_killed_backup_leaves_no_file_of_that_name",),
    ),
    Fault(
        "restore",
        "kill -9 after each statement",
        "the former data stay; the next start deletes the files",
        (
            f"{HUB}/backup/test_killed_restores.py::test_killed_restore_leaves_the_former_data",
            f"{HUB}/backup/test_service.py::"
            "test_files_of_a_killed_restore_are_deleted_at_the_start",
        ),
    ),
    Fault(
        "drain of a server",
        "kill -9",
        "clients return; no acked event is lost",
        (f"{DRAIN}test_server_is_killed_while_it_drains",),
    ),
    Fault(
        "hand-over to a new worker",
        "kill -9 of the old worker",
        "clients return; no acked event is lost",
        (f"{DRAIN}test_worker_is_killed_while_it_drains_for_its_replacement",),
    ),
    Fault(
        "processes of a hub",
        "kill -9 of one while they drain",
        "all end; the database opens again",
        (f"{DRAIN}test_hub_ends_in_order_when_a_process_is_killed_while_it_drains",),
    ),
    Fault(
        "processes of a hub",
        "the application cannot start, or has not started when a signal arrives",
        "all end at once; the log has the reason",
        (
            f"{HUB}/cluster/test_listening.py::"
            "test_gateway_that_was_never_linked_ends_after_a_signal",
            f"{HUB}/cluster/test_supervisor.py::"
            "test_supervisor_ends_when_the_configuration_of_a_worker_is_invalid",
        ),
    ),
    Fault(
        "import of a hub with gateways",
        "all gateways are replaced; SIGSTOP and SIGCONT of the process that reads the file",
        "the import completes",
        (
            f"{DRAIN}test_import_completes_when_all_gateways_are_replaced_while_its_reading_"
            "process_is_stopped",
        ),
    ),
    Fault(
        "application of a hub with gateways",
        "hangs",
        "handshakes receive 503; after 15 s the gateways close the clients",
        (
            "tests/engineio_core/relay/test_relay.py::"
            "test_gateway_answers_503_when_the_origin_does_not_answer",
            "tests/engineio_core/relay/test_link.py::test_link_ends_when_the_peer_sends_nothing",
        ),
    ),
    Fault(
        "gateway of a hub",
        "kill -9",
        "its clients recover over another gateway; other clients stay",
        (
            "tests/engineio_core/relay/test_relay.py::"
            "test_client_recovers_over_another_gateway_when_its_gateway_dies",
            "tests/interop/test_server_processes.py::"
            "test_clients_of_other_gateways_stay_when_a_gateway_is_killed",
        ),
    ),
    Fault(
        "gateway of a hub",
        "its clients send very many events",
        "clients of other gateways are served between turns",
        (
            "tests/engineio_core/relay/test_link.py::"
            "test_burst_of_one_gateway_does_not_delay_another_gateway",
        ),
    ),
    Fault(
        "worker of a Socket.IO server",
        "kill -9",
        "its clients recover on another worker; no event is missed",
        (
            "tests/interop/test_workers.py::"
            "test_clients_recover_and_miss_no_event_when_a_worker_is_killed",
        ),
    ),
    Fault(
        "workers of a Socket.IO server",
        "a client returns to two workers at the same moment",
        "one of them restores the session",
        tuple(
            f"tests/socketio_core/workers/test_sessions.py::{name}"
            for name in (
                "test_session_is_claimed_by_one_of_two_workers",
                "test_session_is_found_when_the_attempt_of_another_worker_saves_it_later",
            )
        ),
    ),
    Fault(
        "import, upload, KEV, notification, report, maintenance, event log",
        "full disk",
        "one line in the log; the user reads the reason; nothing half-written",
        tuple(
            f"{CONDITIONS}[{name}-20]"
            for name in (
                "full: import",
                "full: start of an import",
                "full: upload",
                "full: KEV",
                "full: notification",
                "full: report",
                "full: maintenance",
                "full: event log",
            )
        ),
    ),
    Fault(
        "upload, import",
        "read-only file system, limit of file sizes or of descriptors",
        "one line in the log; the user reads the kind of the fault; no partial file",
        tuple(
            f"{CONDITIONS}[{name}-20]"
            for name in (
                "file size: upload",
                "read-only: upload",
                "descriptors: upload",
                "descriptors: import",
            )
        ),
    ),
    Fault(
        "import after its commit",
        "full or read-only disk",
        "the import is completed",
        (
            f"{IMPORTS}/test_ends.py::test_import_completes_when_its_files_cannot_be_deleted",
            f"{IMPORTS}/test_ends.py::"
            "test_import_completes_when_the_log_of_the_database_cannot_be_emptied",
        ),
    ),
    Fault(
        "end of a failed import",
        "the database does not store it",
        "stored later; not running for ever",
        (f"{IMPORTS}/test_ends.py::test_end_that_the_database_refuses_is_stored_later",),
    ),
    Fault(
        "backup",
        "full disk, also at the last byte",
        "an error; no file, and the former one stays",
        (
            f"{HUB}/backup/test_archive.py::test_full_disk_is_reported_and_leaves_no_file",
            f"{HUB}/backup/test_archive.py::"
            "test_disk_that_fills_at_the_end_leaves_no_file_and_keeps_the_former_one",
        ),
    ),
    Fault(
        "restore",
        "full disk",
        "an error before the data change",
        (
            f"{HUB}/backup/test_archive.py::test_restore_without_space_is_refused_before_it_writes",
            f"{HUB}/backup/test_service.py::test_full_disk_is_reported_as_unavailable",
        ),
    ),
    Fault(
        "/ready",
        "full disk",
        "503 with the reason",
        (
            "tests/contract/test_production.py::"
            "test_s111_full_disk_is_named_to_the_user_and_turns_ready_to_503",
        ),
    ),
    Fault(
        "tokens",
        "clock set back by a day",
        "valid tokens stay valid",
        (
            f"{HUB}/security/test_principal.py::"
            "test_token_is_valid_after_the_clock_was_set_back_by_a_day",
        ),
    ),
    Fault(
        "KEV schedule",
        "clock set back or forward",
        "no synchronization twice, and none left out",
        (
            f"{HUB}/kev/test_service.py::"
            "test_synchronization_is_not_early_when_the_clock_is_set_back",
            f"{HUB}/kev/test_service.py::test_missed_time_of_day_is_made_up_after_the_start",
        ),
    ),
    Fault(
        "maintenance window",
        "clock set by a day, forward and back",
        "begins and ends at its time",
        (
            "tests/contract/test_notifications.py::"
            "test_s071_maintenance_follows_the_wall_clock_when_it_is_set",
        ),
    ),
    Fault(
        "server",
        "limit of descriptors reached by 200 connections",
        "open clients are served; no busy loop; new clients connect afterwards",
        run=live.exhaust_descriptors,
    ),
    Fault(
        "server on asyncio's loop",
        "limit of descriptors reached by 200 connections",
        "open clients are served; no busy loop; new clients connect afterwards",
        run=live.exhaust_descriptors_of_asyncio,
    ),
    Fault(
        "server",
        "event loop blocked for 3 s, ping timeout 1 s, 200 clients",
        "all clients stay",
        run=live.block_the_loop,
    ),
    Fault(
        "server",
        "network of 100 clients cut without FIN",
        "sessions end by the ping timeout",
        run=live.cut_networks,
    ),
    Fault(
        "client",
        "connections cut many times (RST, FIN, half-open)",
        "each event arrives once",
        (
            "tests/interop/test_recovery.py::"
            "test_all_events_arrive_once_after_many_lost_connections",
        ),
    ),
    Fault(
        "SQLite",
        "locked by another program",
        "an error after a deadline; the hub goes on",
        (
            f"{CONDITIONS}[locked database-20]",
            f"{HUB}/storage/test_database.py::"
            "test_writer_waits_longer_for_another_thread_than_for_another_program",
        ),
    ),
    Fault(
        "SQLite",
        "locked by another program for 5 s during 8 imports",
        "other clients are served; imports complete afterwards",
        run=live_hub.lock_sqlite,
    ),
    Fault(
        "PostgreSQL of the hub",
        "does not answer for 5 s during 8 imports",
        "other clients are served; imports complete afterwards",
        run=live_hub.stall_postgres,
    ),
    Fault(
        "SQLite",
        "file deleted, replaced or damaged",
        "imports fail and keep their file; /ready is 503",
        (
            f"{IMPORTS}/test_service.py::"
            "test_import_fails_and_keeps_its_file_when_the_database_file_is_gone",
            "tests/contract/test_conditions.py::"
            "test_deleted_database_file_is_reported_by_ready_and_by_imports",
            f"{CONDITIONS}[damaged database-20]",
        ),
    ),
    Fault(
        "SQLite",
        "a second server",
        "refused until the first closes",
        (f"{HUB}/storage/test_database.py::test_second_server_is_refused_until_the_first_closes",),
    ),
    Fault(
        "PostgreSQL of the hub",
        "all connections end",
        "an error to waiting users; opened again",
        (
            f"{HUB}/postgres/test_database_on_postgres.py::"
            "test_lost_connections_are_logged_in_one_line_and_opened_again",
        ),
    ),
    Fault(
        "PostgreSQL of the hub",
        "restart; a second server starts",
        "only one server writes",
        (
            f"{LOCK}test_lock_is_acquired_again_when_its_connection_has_ended",
            f"{LOCK}test_check_of_the_lock_raises_when_another_server_has_it",
            f"{LOCK}test_server_that_lost_the_lock_writes_nothing",
            f"{LOCK}test_first_write_after_a_restart_acquires_the_lock_again",
        ),
    ),
    Fault(
        "PostgreSQL of the hub",
        "does not answer",
        "waiting queries end with an error",
        (f"{LOCK}test_waiting_query_fails_when_postgres_does_not_answer",),
    ),
    Fault(
        "PostgreSQL of the hub",
        "network cut, PostgreSQL does not notice",
        "the server keeps its lock",
        (f"{LOCK}test_lock_is_acquired_again_when_postgres_has_not_noticed_the_lost_connection",),
    ),
    Fault(
        "PostgreSQL of the hub",
        "pg_terminate_backend of all connections at points of an import",
        "nothing is changed, or the import completes; the next import is complete",
        (
            f"{HUB}/postgres/test_lost_connections_on_postgres.py::"
            "test_import_changes_nothing_when_all_connections_end_at_one_of_its_points",
        ),
    ),
    Fault(
        "PostgreSQL of the hub",
        "connection lost during the commit of an import",
        "completed if the findings are stored",
        (
            f"{IMPORTS}/test_ends.py::"
            "test_import_is_completed_when_the_connection_is_lost_during_the_commit",
            f"{IMPORTS}/test_ends.py::"
            "test_findings_are_announced_when_a_failed_import_proves_to_be_completed",
        ),
    ),
    Fault(
        "PostgreSQL of the hub",
        "statement timeout, denied table, read-only transaction, terminated backend",
        "one line in the log names the cause; the next statement succeeds",
        (
            f"{HUB}/postgres/test_database_on_postgres.py::"
            "test_error_of_an_operator_is_a_condition_and_the_next_statement_succeeds",
        ),
    ),
    Fault(
        "several hubs",
        "kill -9 of the active one",
        "another one takes over",
        (
            "tests/interop/test_several_servers.py::"
            "test_standby_takes_over_when_the_active_server_dies",
        ),
    ),
    Fault(
        "Redis",
        "restart under load",
        "local delivery goes on; the cluster is complete afterwards",
        (f"{BROKER}test_cluster_survives_a_restart_of_redis_under_load",),
    ),
    Fault(
        "Redis Streams",
        "the primary is killed, a replica takes over",
        "a client that was absent recovers; no event of the replica is lost",
        (
            "tests/socketio_core/redis/test_streams.py::"
            "test_client_recovers_after_a_failover_to_a_replica",
        ),
    ),
    Fault(
        "Redis Streams",
        "Redis loses entries, and its clock is put back",
        "new events arrive once; lost offsets lead to new sessions",
        tuple(
            f"tests/socketio_core/redis/test_streams.py::{name}"
            for name in (
                "test_events_arrive_after_redis_restarted_empty_with_an_older_clock",
                "test_events_arrive_after_the_stream_was_deleted_and_the_clock_was_put_back",
                "test_lost_offset_leads_to_a_new_session_when_another_entry_has_its_id",
            )
        ),
    ),
    Fault(
        "servers with Redis Streams",
        "a client returns to two servers at the same moment",
        "one has the session, with each missed event once",
        (
            "tests/socketio_core/redis/test_streams.py::"
            "test_session_is_restored_by_one_of_two_servers",
        ),
    ),
    Fault(
        "Redis",
        "does not answer",
        "noticed by pings; the queue is bounded",
        (f"{BROKER}test_redis_that_hangs_is_noticed",),
    ),
    Fault(
        "Redis",
        "not there at the start",
        "the server starts and joins later",
        (f"{BROKER}test_server_starts_without_redis_and_joins_later",),
    ),
    Fault(
        "Redis",
        "error replies: LOADING, NOAUTH, READONLY, OOM",
        "sent again or counted as lost",
        (
            f"{BROKER}test_messages_wait_while_redis_refuses_commands",
            f"{BROKER}test_entries_that_a_replica_refuses_are_written_later",
            f"{BROKER}test_entries_that_redis_refuses_are_reported",
        ),
    ),
    Fault(
        "Redis",
        "bytes that are not replies",
        "the connection is opened again",
        (
            "tests/socketio_core/adapters/test_redis_stream.py::"
            "test_stream_ends_after_replies_that_cannot_be_used",
        ),
    ),
    Fault(
        "Redis",
        "an ACL denies a command",
        "local delivery goes on; the log names the command",
        (
            "tests/socketio_core/redis/test_streams.py::"
            "test_local_delivery_continues_and_the_log_names_a_denied_command",
        ),
    ),
    Fault(
        "servers with Redis Streams",
        "a client returns to another server before the former one notices the loss",
        "the session is restored; each event arrives once",
        tuple(
            f"tests/socketio_core/redis/test_streams.py::{name}"
            for name in (
                "test_client_recovers_before_another_server_notices_the_loss",
                "test_client_recovers_when_its_attempt_on_another_server_is_not_complete",
                "test_no_event_is_lost_or_doubled_while_a_client_changes_servers_unnoticed",
            )
        ),
    ),
    Fault(
        "proxy before Redis",
        "slow, half-open, or sends other bytes",
        "in order; connections open again; local delivery goes on",
        tuple(
            f"tests/socketio_core/redis/test_broker_through_proxy.py::{name}" for name in PROXIED
        ),
    ),
    Fault(
        "proxy before PostgreSQL as broker",
        "slow, half-open, or sends other bytes",
        "in order; connections open again; local delivery goes on",
        tuple(f"{THROUGH_PROXY[1]}::{name}" for name in PROXIED),
    ),
    Fault(
        "PostgreSQL as broker",
        "gone, silent, or breaks while sending",
        "local delivery goes on; each message arrives once or is counted as lost",
        tuple(
            f"tests/socketio_core/postgres/test_postgres.py::{name}"
            for name in (
                "test_local_delivery_continues_and_messages_wait_while_postgres_is_away",
                "test_message_arrives_once_when_the_sending_connection_breaks",
                "test_silent_connection_is_opened_again",
                "test_lost_notifications_are_counted",
            )
        ),
    ),
)
