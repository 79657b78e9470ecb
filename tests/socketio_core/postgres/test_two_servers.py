"""Two Python servers on one PostgreSQL: the operations that all adapters have."""

from tests.socketio_core.redis.test_two_servers import (  # noqa: F401 - run with our fixture `pair`
    test_broadcast_reaches_the_clients_of_both_servers_once,
    test_broadcast_with_ack_collects_the_answers_of_both_servers,
    test_fetch_sockets_returns_the_sockets_of_both_servers,
    test_namespaces_with_pattern_characters_are_separate,
    test_rooms_and_exceptions_apply_on_the_other_server,
    test_server_side_events_reach_the_other_server_only,
    test_sockets_join_leave_and_disconnect_on_the_other_server,
)
