#include "control/identity.h"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace headgate::control {
namespace {

config::ServiceKey service_key(uint16_t port) {
  config::ServiceKey key;
  key.family = net::Family::ipv4;
  key.protocol = 6;
  key.port = port;
  key.address = net::parse_ip("192.0.2.1").value();
  return key;
}

config::BackendKey backend_key(uint16_t port) {
  return {net::parse_ip("10.0.0.1").value(), port};
}

TEST(Identity, SameKeyHasTheSameId) {
  IdentityTable table(4, 8);
  const uint32_t service = table.use_service(service_key(80)).value();
  const uint32_t other = table.use_service(service_key(81)).value();
  EXPECT_NE(service, other);
  EXPECT_EQ(table.use_service(service_key(80)).value(), service);
  const uint32_t index = table.use_backend(service, backend_key(1)).value();
  EXPECT_EQ(table.use_backend(service, backend_key(1)).value(), index);
  EXPECT_NE(table.use_backend(other, backend_key(1)).value(), index)
      << "the same server in another service is another backend";
  EXPECT_NE(table.backend_id(index), 0U);
}

TEST(Identity, RemovedBackendComesBackWithItsId) {
  IdentityTable table(4, 8);
  const uint32_t service = table.use_service(service_key(80)).value();
  const uint32_t index = table.use_backend(service, backend_key(1)).value();
  const uint32_t id = table.backend_id(index);
  table.commit(1);
  table.remove_backend(index);
  table.commit(2);
  EXPECT_EQ(table.backend(index).state, IdState::removed);
  EXPECT_EQ(table.use_backend(service, backend_key(1)).value(), index);
  EXPECT_EQ(table.backend_id(index), id);
  EXPECT_EQ(table.backend(index).state, IdState::used);
}

TEST(Identity, IndexIsReusedOnlyAfterItsSnapshotIsGoneAndWithANewGeneration) {
  IdentityTable table(1, 1);
  const uint32_t service = table.use_service(service_key(80)).value();
  const uint32_t index = table.use_backend(service, backend_key(1)).value();
  const uint32_t id = table.backend_id(index);
  table.commit(1);
  table.remove_backend(index);
  table.commit(2);
  EXPECT_FALSE(table.use_backend(service, backend_key(2)).has_value()) << "still referred to";
  table.rollback();
  table.release_backend(index);
  table.commit(3);
  EXPECT_FALSE(table.use_backend(service, backend_key(2)).has_value()) << "still in a snapshot";
  table.rollback();
  table.free_released(2);
  EXPECT_FALSE(table.use_backend(service, backend_key(2)).has_value()) << "seen up to 2 only";
  table.rollback();
  table.free_released(3);
  const auto again = table.use_backend(service, backend_key(2));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, index);
  EXPECT_NE(table.backend_id(*again), id);
  EXPECT_EQ(dataplane::backend_index(table.backend_id(*again)), index);
}

TEST(Identity, ServiceLivesAsLongAsItsBackends) {
  IdentityTable table(1, 4);
  const uint32_t service = table.use_service(service_key(80)).value();
  const uint32_t index = table.use_backend(service, backend_key(1)).value();
  table.commit(1);
  table.remove_backend(index);
  table.remove_service(service);
  table.commit(2);
  EXPECT_EQ(table.find_service(service_key(80)), service);
  EXPECT_EQ(table.service(service).backends, 1U);
  table.release_backend(index);
  table.release_service(service);
  table.commit(3);
  table.free_released(3);
  EXPECT_FALSE(table.find_service(service_key(80)).has_value());
  EXPECT_EQ(table.use_service(service_key(81)).value(), service);
}

TEST(Identity, LimitIsAnErrorThatNamesTheRemedy) {
  IdentityTable table(1, 1);
  const uint32_t service = table.use_service(service_key(80)).value();
  const auto refused = table.use_service(service_key(81));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text.find("192.0.2.1:81"), std::string::npos) << refused.error().text;
  EXPECT_NE(refused.error().text.find("memory.max_services"), std::string::npos);
  ASSERT_TRUE(table.use_backend(service, backend_key(1)).has_value());
  const auto full = table.use_backend(service, backend_key(2));
  ASSERT_FALSE(full.has_value());
  EXPECT_NE(full.error().text.find("memory.max_backends"), std::string::npos);
}

TEST(Identity, GenerationOfAnIndexLastsLongBecauseTheOldestIsReusedFirst) {
  IdentityTable table(1, 2048);
  const uint32_t service = table.use_service(service_key(80)).value();
  std::map<uint32_t, int> uses;
  uint64_t generation = 1;
  for (int i = 0; i < 4000; ++i) {
    const uint32_t index = table.use_backend(service, backend_key(1)).value();
    ++uses[index];
    table.remove_backend(index);
    table.release_backend(index);
    table.commit(generation);
    table.free_released(generation++);
  }
  for (const auto& [index, count] : uses)
    EXPECT_LE(count, 4000 / 250) << index;
}

// Random changes, some of them rolled back, against a model that never rolls back.
TEST(Identity, RollbackRestoresEverything) {
  std::mt19937 random(3);
  IdentityTable table(8, 32);
  std::map<std::pair<uint32_t, uint16_t>, uint32_t> ids;  // service and port -> backend id
  uint64_t generation = 0;
  std::vector<uint32_t> services;
  services.reserve(3);
  for (uint16_t s = 0; s < 3; ++s)
    services.push_back(table.use_service(service_key(s)).value());
  table.commit(++generation);

  for (int step = 0; step < 20'000; ++step) {
    const bool keep = random() % 2 == 0;
    auto wanted = ids;
    for (int change = 0; change < 4; ++change) {
      const uint32_t service = services[random() % services.size()];
      const auto port = static_cast<uint16_t>(random() % 8);
      const auto known = table.find_backend(service, backend_key(port));
      if (!known) {
        const auto index = table.use_backend(service, backend_key(port));
        if (index) wanted[{service, port}] = table.backend_id(*index);
      } else if (table.backend(*known).state == IdState::used) {
        table.remove_backend(*known);
      } else if (random() % 2 == 0) {
        ASSERT_EQ(table.use_backend(service, backend_key(port)).value(), *known);
      } else {
        table.release_backend(*known);
        wanted.erase({service, port});
      }
    }
    if (keep) {
      table.commit(++generation);
      ids = std::move(wanted);
      if (random() % 3 == 0) table.free_released(generation - 1);
    } else {
      table.rollback();
    }
    std::set<uint32_t> indexes;
    for (const auto& [key, id] : ids) {
      const auto index = table.find_backend(key.first, backend_key(key.second));
      ASSERT_TRUE(index.has_value());
      ASSERT_EQ(table.backend_id(*index), id);
      ASSERT_TRUE(indexes.insert(*index).second) << "one index, two backends";
    }
    uint32_t live = 0;
    for (const uint32_t service : services)
      live += table.service(service).backends;
    ASSERT_EQ(live, ids.size());
  }
}

}  // namespace
}  // namespace headgate::control
