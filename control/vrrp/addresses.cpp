#include "control/vrrp/addresses.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include <net/if.h>

#include "control/vrrp/address_requests.h"
#include "control/vrrp/address_state.h"
#include "control/vrrp/rtnl_batch.h"

namespace headgate::control {
namespace {

struct Placed {
  InterfaceAddress address;
  int index = 0;
};

bool is_same(const InterfaceAddress& a, const InterfaceAddress& b) {
  return a.interface == b.interface && a.prefix == b.prefix;
}

AddressState::Address state_of(const Placed& placed) {
  return {{placed.address.interface, placed.index}, placed.address.prefix};
}

// Removing a primary address takes the others of its network along unless they are promoted.
bool can_be_primary(const net::Prefix& prefix) {
  return prefix.address.is_v4() && prefix.length < 32;
}

}  // namespace

struct AddressKeeper::Impl {
  Impl(std::string path, RtnlSocket given)
      : state_path(std::move(path)), socket(std::move(given)) {}

  std::vector<Placed> choose(std::span<const InterfaceAddress> wanted, AddressReport& report);
  void choose_one(const InterfaceAddress& wanted, int index, const PresentAddresses& present,
                  std::vector<Placed>& chosen, AddressReport& report);
  void promote_secondaries(const std::vector<Placed>& chosen, AddressReport& report);
  void restore_promotion(AddressReport& report);
  void place(const std::vector<Placed>& chosen, AddressReport& report);
  void take_away(const std::vector<Placed>& gone, AddressReport& report);
  void save_state(AddressReport& report);

  std::string state_path;
  RtnlSocket socket;
  std::vector<Placed> placed;
  std::vector<NamedLink> promoted;
};

// Those of the addresses that the kernel has to be asked for.
std::vector<Placed> AddressKeeper::Impl::choose(std::span<const InterfaceAddress> wanted,
                                                AddressReport& report) {
  struct Known {
    int index = 0;
    PresentAddresses present;
  };
  std::map<std::string, Known> interfaces;
  std::vector<Placed> chosen;
  for (const InterfaceAddress& address : wanted) {
    const auto [found, is_new] = interfaces.try_emplace(address.interface);
    Known& known = found->second;
    if (is_new) {
      known.index = static_cast<int>(if_nametoindex(address.interface.c_str()));
      if (known.index != 0) known.present = present_addresses(socket, known.index);
    }
    if (known.index == 0) {
      report.errors.push_back(address_error(address, ENODEV));
    } else {
      choose_one(address, known.index, known.present, chosen, report);
    }
  }
  return chosen;
}

void AddressKeeper::Impl::choose_one(const InterfaceAddress& wanted, int index,
                                     const PresentAddresses& present, std::vector<Placed>& chosen,
                                     AddressReport& report) {
  const auto is_this = [&](const Placed& other) { return is_same(other.address, wanted); };
  if (std::ranges::any_of(chosen, is_this)) return;  // twice in one call
  const bool there = present.contains(wanted.prefix);
  const auto ours = std::ranges::find_if(placed, is_this);
  if (ours != placed.end()) {
    if (there && ours->index == index) return;
    // The interface is another one, or somebody took the address away.
    placed.erase(ours);
  }
  if (there) {
    report.adopted.push_back(wanted);
  } else {
    chosen.push_back({wanted, index});
  }
}

void AddressKeeper::Impl::promote_secondaries(const std::vector<Placed>& chosen,
                                              AddressReport& report) {
  for (const Placed& one : chosen) {
    const NamedLink link{one.address.interface, one.index};
    if (!can_be_primary(one.address.prefix)) continue;
    if (std::ranges::find(promoted, link) != promoted.end()) continue;
    const auto before = read_promotion(socket, link.index);
    if (!before || *before) continue;  // on already; an interface that vanished tells below
    promoted.push_back(link);
    save_state(report);
    const int code = set_promotion(socket, link.index, true);
    if (code != 0) report.errors.push_back(promotion_error(link, code));
  }
}

void AddressKeeper::Impl::restore_promotion(AddressReport& report) {
  for (const NamedLink& link : std::exchange(promoted, {})) {
    if (static_cast<int>(if_nametoindex(link.name.c_str())) != link.index) continue;
    const int code = set_promotion(socket, link.index, false);
    if (code != 0 && code != ENODEV) report.errors.push_back(promotion_error(link, code));
  }
}

void AddressKeeper::Impl::place(const std::vector<Placed>& chosen, AddressReport& report) {
  if (chosen.empty()) return;
  promote_secondaries(chosen, report);
  placed.insert(placed.end(), chosen.begin(), chosen.end());
  save_state(report);  // before the kernel is asked
  std::vector<NlMessage> requests;
  requests.reserve(chosen.size());
  for (const Placed& one : chosen) {
    requests.push_back(add_request(one.index, one.address));
  }
  const std::vector<int> codes = request_all(socket, requests);
  bool failed = false;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const InterfaceAddress& address = chosen[i].address;
    if (codes[i] == 0) {
      report.done.push_back(address);
      continue;
    }
    failed = true;
    std::erase_if(placed, [&](const Placed& other) { return is_same(other.address, address); });
    if (codes[i] == EEXIST) {  // since choose() has looked
      report.adopted.push_back(address);
    } else {
      report.errors.push_back(address_error(address, codes[i]));
    }
  }
  if (failed) save_state(report);
}

void AddressKeeper::Impl::take_away(const std::vector<Placed>& gone, AddressReport& report) {
  std::vector<NlMessage> requests;
  requests.reserve(gone.size());
  for (const Placed& one : gone) {
    requests.push_back(remove_request(one.index, one.address.prefix));
  }
  const std::vector<int> codes = request_all(socket, requests);
  for (size_t i = 0; i < gone.size(); ++i) {
    const InterfaceAddress& address = gone[i].address;
    if (codes[i] == 0) {
      report.done.push_back(address);
    } else if (codes[i] == EADDRNOTAVAIL || codes[i] == ENODEV) {
      report.missing.push_back(address);
    } else {
      report.errors.push_back(address_error(address, codes[i]));
      continue;  // still ours
    }
    std::erase_if(placed, [&](const Placed& other) { return is_same(other.address, address); });
  }
}

void AddressKeeper::Impl::save_state(AddressReport& report) {
  AddressState state{.promoted = promoted, .addresses = {}};
  std::ranges::transform(placed, std::back_inserter(state.addresses), state_of);
  // Not having it matters only after a kill: the addresses are placed all the same.
  if (const auto saved = save(state, state_path); !saved) report.errors.push_back(saved.error());
}

std::expected<AddressKeeper, Error> AddressKeeper::open(std::string state_path) {
  auto socket = RtnlSocket::open();
  if (!socket) return std::unexpected(socket.error());
  prepare_for_dumps(*socket);
  return AddressKeeper(std::make_unique<Impl>(std::move(state_path), std::move(*socket)));
}

AddressReport AddressKeeper::remove_stale() {
  AddressReport report;
  const auto state = load_address_state(impl_->state_path);
  if (!state) {
    report.errors.push_back(state.error());
    return report;
  }
  const auto is_there = [](const NamedLink& link) {
    return static_cast<int>(if_nametoindex(link.name.c_str())) == link.index;
  };
  std::vector<Placed> stale;
  for (const AddressState::Address& address : state->addresses) {
    const Placed one{{.interface = address.link.name, .prefix = address.prefix, .label = {}},
                     address.link.index};
    if (is_there(address.link)) {
      stale.push_back(one);
    } else {
      report.missing.push_back(one.address);
    }
  }
  impl_->placed = stale;
  impl_->promoted = state->promoted;
  impl_->take_away(stale, report);
  impl_->restore_promotion(report);
  impl_->save_state(report);
  return report;
}

AddressReport AddressKeeper::add(std::span<const InterfaceAddress> addresses) {
  AddressReport report;
  impl_->place(impl_->choose(addresses, report), report);
  return report;
}

AddressReport AddressKeeper::remove(std::span<const InterfaceAddress> addresses) {
  AddressReport report;
  std::vector<Placed> gone;
  for (const InterfaceAddress& address : addresses) {
    const auto found = std::ranges::find_if(
        impl_->placed, [&](const Placed& one) { return is_same(one.address, address); });
    if (found != impl_->placed.end()) gone.push_back(*found);
  }
  if (gone.empty()) return report;
  impl_->take_away(gone, report);
  impl_->save_state(report);
  return report;
}

AddressReport AddressKeeper::remove_all() {
  AddressReport report;
  if (!impl_->placed.empty()) impl_->take_away(std::vector(impl_->placed), report);
  impl_->restore_promotion(report);
  impl_->save_state(report);
  return report;
}

std::vector<InterfaceAddress> AddressKeeper::placed() const {
  std::vector<InterfaceAddress> result;
  std::ranges::transform(impl_->placed, std::back_inserter(result), &Placed::address);
  return result;
}

AddressKeeper::AddressKeeper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AddressKeeper::AddressKeeper(AddressKeeper&&) noexcept = default;
AddressKeeper& AddressKeeper::operator=(AddressKeeper&&) noexcept = default;
AddressKeeper::~AddressKeeper() = default;

}  // namespace headgate::control
