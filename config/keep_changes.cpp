#include "config/keep_changes.h"

#include <algorithm>
#include <concepts>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "config/schema.h"

namespace headgate::config {
namespace {

template <typename T>
using ByKey = std::map<decltype(key_of(std::declval<const T&>())), const T*>;

template <typename T>
ByKey<T> by_key(const std::vector<T>& list) {
  ByKey<T> result;
  for (const T& element : list)
    result.emplace(key_of(element), &element);
  return result;
}

// Puts the keys of one section that differ between base and running into `wanted`.
template <Section T>
void keep_fields(const T& base, const T& running, T& wanted) {
  Schema<T>::fields([&]<typename M>(const Key& /*key*/, M T::* member, const auto&... /*codec*/) {
    if constexpr (!std::same_as<M, std::vector<Backend>>) {
      if (running.*member != base.*member) wanted.*member = running.*member;
    }
  });
}

// In the place of a base, for what both sides added: every key that differs is the commands'.
Service without_backends(Service service) {
  service.backends.clear();
  return service;
}

void keep_backends(const Service& base, const Service& running, Service& wanted) {
  const ByKey<Backend> before = by_key(base.backends);
  const ByKey<Backend> now = by_key(running.backends);
  std::erase_if(wanted.backends, [&](const Backend& backend) {
    return before.contains(key_of(backend)) && !now.contains(key_of(backend));
  });
  std::set<BackendKey> there;
  for (Backend& backend : wanted.backends) {
    const BackendKey key = key_of(backend);
    there.insert(key);
    const auto changed = now.find(key);
    if (changed == now.end()) continue;
    const auto known = before.find(key);
    keep_fields(known == before.end() ? backend : *known->second, *changed->second, backend);
  }
  for (const Backend& backend : running.backends) {
    const BackendKey key = key_of(backend);
    if (!before.contains(key) && !there.contains(key)) wanted.backends.push_back(backend);
  }
}

}  // namespace

KeptChanges keep_changes(const Config& base, const Config& running, Config wanted) {
  KeptChanges result{.config = std::move(wanted), .lost = {}};
  keep_fields(base.timeouts, running.timeouts, result.config.timeouts);
  if (running.services == base.services) return result;

  std::vector<Service>& services = result.config.services;
  const ByKey<Service> before = by_key(base.services);
  const ByKey<Service> now = by_key(running.services);
  std::erase_if(services, [&](const Service& service) {
    return before.contains(key_of(service)) && !now.contains(key_of(service));
  });
  std::set<ServiceKey> there;
  for (Service& service : services) {
    const ServiceKey key = key_of(service);
    there.insert(key);
    const auto changed = now.find(key);
    if (changed == now.end()) continue;
    const auto known = before.find(key);
    if (known != before.end() && *known->second == *changed->second) continue;
    const Service its_base = known == before.end() ? without_backends(service) : *known->second;
    keep_fields(its_base, *changed->second, service);
    keep_backends(its_base, *changed->second, service);
  }
  for (const Service& service : running.services) {
    const ServiceKey key = key_of(service);
    if (there.contains(key)) continue;
    const auto known = before.find(key);
    if (known == before.end()) {
      services.push_back(service);
    } else if (*known->second != service) {
      result.lost.push_back(fmt::format(
          "{} is not in the file any more: what commands changed about it is gone with it",
          to_string(key)));
    }
  }
  return result;
}

}  // namespace headgate::config
