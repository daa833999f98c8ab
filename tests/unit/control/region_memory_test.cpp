#include "control/region_memory.h"

#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dataplane/limits.h"
#include "dataplane/snapshot.h"

namespace headgate::control {
namespace {

constexpr dataplane::RegionLimits small_limits{.workers = 3,
                                               .max_services = 10,
                                               .max_backends = 100,
                                               .snapshot_bytes = 1U << 20,
                                               .connection_bytes = 3U << 20};

RegionMemory make_region(const dataplane::RegionLimits& limits = small_limits) {
  auto memory = RegionMemory::create(limits, RegionPages::plain);
  EXPECT_TRUE(memory.has_value()) << memory.error().text;
  return std::move(*memory);
}

TEST(RegionMemory, AreasFollowEachOtherWithoutOverlap) {
  const RegionMemory memory = make_region();
  const dataplane::RegionHeader& header = memory.header();
  EXPECT_GE(header.snapshot.offset, sizeof(dataplane::RegionHeader));
  EXPECT_EQ(header.snapshot.offset % 64, 0U);
  EXPECT_GE(header.connections.offset, header.snapshot.offset + header.snapshot.bytes);
  EXPECT_EQ(header.connections.offset % (2U << 20), 0U);
  EXPECT_GE(header.counters.offset, header.connections.offset + header.connections.bytes);
  EXPECT_LE(header.counters.offset + header.counters.bytes, memory.bytes());
  EXPECT_EQ(header.snapshot.bytes, small_limits.snapshot_bytes);
  EXPECT_EQ(header.connections.bytes, small_limits.connection_bytes);
}

TEST(RegionMemory, RowsOfAWorkerShareNoCacheLineWithAnothers) {
  const RegionMemory memory = make_region();
  const std::byte* end = nullptr;
  for (uint32_t worker = 0; worker < small_limits.workers; ++worker) {
    const dataplane::CounterRows rows = dataplane::counter_rows(memory.view(), worker);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(rows.worker) % 64, 0U);
    EXPECT_GE(reinterpret_cast<const std::byte*>(rows.worker), end);
    EXPECT_EQ(rows.services.size(), small_limits.max_services);
    EXPECT_EQ(rows.backends.size(), small_limits.max_backends);
    EXPECT_EQ(rows.backends.data(), rows.services.data() + rows.services.size());
    end = reinterpret_cast<const std::byte*>(rows.backends.data() + rows.backends.size());
    rows.backends.back().connections.add(1);
  }
  EXPECT_LE(end, memory.view().base() + memory.bytes());
  EXPECT_EQ(dataplane::service_shared(memory.view()).size(), small_limits.max_services);
}

TEST(RegionMemory, PlainPagesAreCommittedOnlyWhenTouched) {
  dataplane::RegionLimits limits = small_limits;
  limits.snapshot_bytes = 4ULL << 30;
  const RegionMemory memory = make_region(limits);
  struct stat status{};
  ASSERT_EQ(fstat(memory.fd(), &status), 0);
  EXPECT_GE(status.st_size, static_cast<off_t>(4ULL << 30));
  // One large page at most, where the kernel gives those by itself.
  EXPECT_LE(status.st_blocks * 512, 4 << 20);
}

TEST(RegionMemory, SizeIsSealed) {
  const RegionMemory memory = make_region();
  EXPECT_NE(ftruncate(memory.fd(), 4096), 0);
  EXPECT_NE(ftruncate(memory.fd(), static_cast<off_t>(memory.bytes() * 2)), 0);
}

TEST(RegionMemory, DescriptorClosesOnExec) {
  const RegionMemory memory = make_region();
  EXPECT_NE(fcntl(memory.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(RegionMemory, ImpossibleLimitsAreRefused) {
  dataplane::RegionLimits limits = small_limits;
  limits.workers = dataplane::max_workers + 1;
  EXPECT_FALSE(RegionMemory::create(limits, RegionPages::plain).has_value());
  limits = small_limits;
  limits.max_backends = 1U << 24;
  EXPECT_FALSE(RegionMemory::create(limits, RegionPages::plain).has_value());
  limits = small_limits;
  limits.snapshot_bytes = 1ULL << 40;
  EXPECT_FALSE(RegionMemory::create(limits, RegionPages::plain).has_value());
}

TEST(RegionMemory, MissingHugePagesAreAnErrorThatNamesTheRemedy) {
  dataplane::RegionLimits limits = small_limits;
  limits.snapshot_bytes = 200ULL << 30;  // more than any machine of ours has reserved
  const auto memory = RegionMemory::create(limits, RegionPages::huge_2m);
  ASSERT_FALSE(memory.has_value());
  EXPECT_NE(memory.error().text.find("huge_pages"), std::string::npos) << memory.error().text;
}

TEST(RegionMemory, AutomaticFallsBackToPlainPages) {
#if defined(HEADGATE_ASAN)
  GTEST_SKIP() << "AddressSanitizer would need 25 GiB to mark 200 as not in use";
#endif
  dataplane::RegionLimits limits = small_limits;
  limits.snapshot_bytes = 200ULL << 30;
  const auto memory = RegionMemory::create(limits, RegionPages::automatic);
  ASSERT_TRUE(memory.has_value()) << memory.error().text;
  EXPECT_EQ(memory->page_bytes(), 4096U);
}

TEST(RegionMemory, AnotherProcessReadsWhatIsWrittenHere) {
  const RegionMemory memory = make_region();
  dataplane::counter_rows(memory.view(), 1).services[3].in_packets.add(77);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Exit status 0: all as expected; others name the step that failed.
    const auto other = RegionMemory::attach(memory.fd());
    if (!other) _exit(1);
    if (other->view().base() == memory.view().base()) _exit(2);
    if (dataplane::counter_rows(other->view(), 1).services[3].in_packets.get() != 77) _exit(3);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(RegionMemory, AttachedMappingIsReadOnly) {
  const RegionMemory memory = make_region();
  const auto other = RegionMemory::attach(memory.fd());
  ASSERT_TRUE(other.has_value());
  // A write by the kernel on our behalf fails instead of raising a signal.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_EQ(read(ends[0], other->view().base() + 4096, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
}

TEST(RegionMemory, AttachRefusesWhatIsNotARegion) {
  const int pipe_like = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(pipe_like, 0);
  EXPECT_FALSE(RegionMemory::attach(pipe_like).has_value());
  close(pipe_like);
  EXPECT_FALSE(RegionMemory::attach(-1).has_value());

  const int zeros = memfd_create("zeros", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(zeros, 1 << 20), 0);
  EXPECT_FALSE(RegionMemory::attach(zeros).has_value()) << "not sealed";
  ASSERT_EQ(fcntl(zeros, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  const auto attached = RegionMemory::attach(zeros);
  ASSERT_FALSE(attached.has_value());
  EXPECT_NE(attached.error().text.find("not a region"), std::string::npos);
  close(zeros);
}

TEST(RegionMemory, AttachRefusesOtherVersionsAndAreasThatDoNotFit) {
  const RegionMemory memory = make_region();
  dataplane::RegionHeader& header = memory.header();
  const auto attached_after = [&](auto& field, auto value) {
    const auto before = field;
    field = value;
    const bool attached = RegionMemory::attach(memory.fd()).has_value();
    field = before;
    return attached;
  };
  EXPECT_TRUE(RegionMemory::attach(memory.fd()).has_value());
  EXPECT_FALSE(attached_after(header.magic, header.magic + 1));
  EXPECT_FALSE(attached_after(header.version, header.version + 1));
  EXPECT_FALSE(attached_after(header.structure_bytes[0], header.structure_bytes[0] + 8));
  EXPECT_FALSE(attached_after(header.region_bytes, memory.bytes() + 4096));
  EXPECT_FALSE(attached_after(header.snapshot.bytes, ~uint64_t{0}));
  EXPECT_FALSE(attached_after(header.limits.max_backends, 1U << 20));
  EXPECT_FALSE(attached_after(header.worker_rows, memory.bytes()));
  EXPECT_TRUE(RegionMemory::attach(memory.fd()).has_value());
}

TEST(SnapshotCell, RootAndGenerationComeBack) {
  const RegionMemory memory = make_region();
  dataplane::SnapshotCell& cell = memory.header().published;
  EXPECT_EQ(cell.load(memory.view()), nullptr);
  const uint64_t offset = memory.header().snapshot.offset + 640;
  cell.publish({offset}, 5);
  EXPECT_EQ(reinterpret_cast<const std::byte*>(cell.load(memory.view())),
            memory.view().base() + offset);
  const uint64_t word = cell.word();
  cell.publish({offset}, 6);
  EXPECT_NE(cell.word(), word) << "a reader elsewhere sees that its copy is stale";
}

}  // namespace
}  // namespace headgate::control
