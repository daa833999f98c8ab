// The sum rule and the drops, from the workers' counters.
#include <string>
#include <utility>

#include "control/show.h"
#include "dataplane/verdict.h"

namespace headgate::control {

namespace asio = boost::asio;
namespace json = boost::json;
using dataplane::Verdict;
using dataplane::VerdictKind;
using protocol::Status;

namespace {

json::object verdict_row(Verdict verdict, uint64_t count) {
  const dataplane::VerdictInfo& its = dataplane::info(verdict);
  return {{"verdict", its.name}, {"count", count}, {"description", its.description}};
}

// Where packets went. Read before where they came from: what is on its way then counts on the left
// side only, and the difference is never negative but for packets that were held.
json::object outgoing(const State& state, json::array& rows) {
  uint64_t sums[4] = {};
  for (uint32_t i = 0; i < dataplane::verdict_count; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    const VerdictKind kind = dataplane::info(verdict).kind;
    const uint64_t count = state.counters.verdict(verdict);
    sums[static_cast<size_t>(kind)] += count;
    if (count > 0 && kind != VerdictKind::drop) rows.push_back(verdict_row(verdict, count));
  }
  return {{"sent", sums[static_cast<size_t>(VerdictKind::sent)]},
          {"to_twin", sums[static_cast<size_t>(VerdictKind::twin)]},
          {"dropped", sums[static_cast<size_t>(VerdictKind::drop)]},
          {"held", sums[static_cast<size_t>(VerdictKind::held)]}};
}

struct Sums {
  uint64_t received = 0;
  uint64_t from_twin = 0;
  uint64_t originated = 0;
  uint64_t released = 0;
  uint64_t replies_local = 0;
  uint64_t replies_foreign = 0;
  uint64_t fullnat_port_rss = 0;
  uint64_t fullnat_port_other = 0;
  uint64_t fallback_stateless = 0;
  uint64_t insert_races = 0;
};

Sums sum_workers(const State& state) {
  Sums sums;
  for (uint32_t i = 0; i < state.counters.workers(); ++i) {
    const auto& row = state.counters.worker(i);
    sums.received += row.received.get();
    sums.from_twin += row.from_twin.get();
    sums.originated += row.originated.get();
    sums.released += row.released.get();
    sums.replies_local += row.replies_local.get();
    sums.replies_foreign += row.replies_foreign.get();
    sums.fullnat_port_rss += row.fullnat_port_rss.get();
    sums.fullnat_port_other += row.fullnat_port_other.get();
    sums.fallback_stateless += row.fallback_stateless.get();
    sums.insert_races += row.insert_races.get();
  }
  return sums;
}

json::object details(const State& state, const Sums& sums) {
  const dataplane::ConnTableCounters table = state.connections.counters();
  const BlockArena::Usage memory = state.arena.usage();
  json::object values{
      {"generation", state.store.generation()},
      {"ipv4_connections", table.in_use4},
      {"ipv4_connections_limit", state.connections.capacity(net::Family::ipv4)},
      {"ipv6_connections", table.in_use6},
      {"ipv6_connections_limit", state.connections.capacity(net::Family::ipv6)},
      {"embryonic_connections", table.embryonic},
      {"no_connection_entry", table.no_entry},
      {"connection_bucket_full", table.bucket_full},
      {"connection_insert_contended", table.contended},
      {"reply_key_taken", table.reply_taken},
      {"connection_insert_races", sums.insert_races},
      {"replies_on_the_worker_of_the_connection", sums.replies_local},
      {"replies_on_another_worker", sums.replies_foreign},
      {"fullnat_ports_by_rss", sums.fullnat_port_rss},
      {"fullnat_ports_not_by_rss", sums.fullnat_port_other},
      {"packets_forwarded_without_connection", sums.fallback_stateless},
      {"snapshot_bytes_used", memory.used_bytes},
      {"snapshot_bytes_limit", memory.total_bytes},
  };
  for (const NamedCount& more : state.surroundings.more_counts())
    values[more.name] = more.count;
  return values;
}

}  // namespace

asio::awaitable<Status> show_stats(Call& call) {
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  json::array verdicts;
  json::object out = outgoing(call.state, verdicts);
  const Sums sums = sum_workers(call.state);
  Status status;
  status.result["in"] = json::object{{"received", sums.received},
                                     {"from_twin", sums.from_twin},
                                     {"originated", sums.originated},
                                     {"released", sums.released}};
  status.result["out"] = std::move(out);
  status.result["verdicts"] = std::move(verdicts);
  status.result["details"] = details(call.state, sums);
  co_return status;
}

asio::awaitable<Status> show_drops(Call& call) {
  const bool all = call.arguments.flag("all");
  if (auto mistake = call.arguments.mistake(); !mistake.empty()) co_return wrong_usage(mistake);
  json::array rows;
  for (uint32_t i = 0; i < dataplane::verdict_count; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    if (dataplane::info(verdict).kind != VerdictKind::drop) continue;
    const uint64_t count = call.state.counters.verdict(verdict);
    if (all || count > 0) rows.push_back(verdict_row(verdict, count));
  }
  co_await call.send_rows(std::move(rows));
  co_return Status{};
}

}  // namespace headgate::control
