#include "control/notify_fifo.h"

#include <algorithm>
#include <fcntl.h>

#include <sys/stat.h>

#include "control/vrrp/notification.h"
#include "tests/support/loop_fixture.h"

namespace headgate::control {
namespace {

class Fifo : public test::LoopTest {
 protected:
  static std::string line(NotifyKind kind, const std::string& name, NotifyState state) {
    Notification notification;
    notification.kind = kind;
    notification.name = name;
    notification.state = state;
    notification.priority = 100;
    return fifo_line(notification);
  }
  std::unique_ptr<NotifyFifo> open_fifo() {
    auto fifo = NotifyFifo::open(path("fifo"), "vrrp.notify_fifo");
    EXPECT_TRUE(fifo) << fifo.error().text;
    return std::move(*fifo);
  }
  std::string read_all() const {
    const int fd = open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK);
    std::string all(200000, '\0');
    size_t size = 0;
    for (ssize_t count = 0; (count = read(fd, all.data() + size, all.size() - size)) > 0;) {
      size += static_cast<size_t>(count);
    }
    close(fd);
    all.resize(size);
    return all;
  }
};

TEST_F(Fifo, WritesKeepalivedsLines) {
  const auto fifo = open_fifo();
  fifo->write(line(NotifyKind::instance, "VI_1", NotifyState::master));
  fifo->write(line(NotifyKind::group, "VG", NotifyState::backup));
  fifo->write(line(NotifyKind::instance, "VI_1", NotifyState::fault));
  fifo->write(line(NotifyKind::instance, "VI_1", NotifyState::stop));
  EXPECT_EQ(read_all(),
            "INSTANCE \"VI_1\" MASTER 100\nGROUP \"VG\" BACKUP 100\n"
            "INSTANCE \"VI_1\" FAULT 100\nINSTANCE \"VI_1\" STOP 100\n");
}

TEST_F(Fifo, DropsWholeLinesWhenNobodyReads) {
  const auto fifo = open_fifo();
  constexpr int lines = 5000;
  for (int i = 0; i < lines; ++i) {
    fifo->write(line(NotifyKind::instance, "VI_1", NotifyState::master));
  }
  EXPECT_GT(fifo->dropped(), 0U);
  const std::string kept = read_all();
  EXPECT_EQ(std::ranges::count(kept, '\n') + static_cast<long>(fifo->dropped()), lines);
  EXPECT_TRUE(kept.ends_with("INSTANCE \"VI_1\" MASTER 100\n"));
  EXPECT_NE(log.find("nobody reads it"), std::string::npos);
  fifo->write(line(NotifyKind::instance, "VI_2", NotifyState::backup));
  EXPECT_EQ(read_all(), "INSTANCE \"VI_2\" BACKUP 100\n") << "goes on when there is room";
}

TEST_F(Fifo, SurvivesAReaderThatLeaves) {
  const auto fifo = open_fifo();
  const int reader = open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  close(reader);
  fifo->write(line(NotifyKind::instance, "VI_1", NotifyState::master));
  EXPECT_EQ(fifo->dropped(), 0U);
  EXPECT_EQ(read_all(), "INSTANCE \"VI_1\" MASTER 100\n");
}

TEST_F(Fifo, RemovesOnlyWhatItMade) {
  struct stat kind{};
  open_fifo();
  EXPECT_NE(lstat(path("fifo").c_str(), &kind), 0) << "its own is gone";
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0640), 0);
  open_fifo();
  EXPECT_EQ(lstat(path("fifo").c_str(), &kind), 0) << "another's stays";
  EXPECT_EQ(kind.st_mode & 0777U, 0640U);
  std::filesystem::remove(path("fifo"));
  {
    const auto fifo = open_fifo();
    ASSERT_EQ(lstat(path("fifo").c_str(), &kind), 0);
    EXPECT_EQ(kind.st_mode & 0777U, 0600U);
    std::filesystem::remove(path("fifo"));
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  }
  EXPECT_EQ(lstat(path("fifo").c_str(), &kind), 0) << "one that took its place stays";
}

TEST_F(Fifo, RefusesWhatIsNoPipe) {
  write("fifo", "text");
  const auto file = NotifyFifo::open(path("fifo"), "vrrp.notify_fifo");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().text.find("this is not a pipe"), std::string::npos);
  EXPECT_EQ(text("fifo"), "text");
  EXPECT_FALSE(NotifyFifo::open(path("no/such/folder"), "vrrp.notify_fifo"));
}

}  // namespace
}  // namespace headgate::control
