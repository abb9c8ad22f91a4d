import FurlBase
import FurlTensor
import Foundation
import Synchronization
import Testing

/// Jobs that bring about other jobs, and the errors of many threads.
@Suite struct JobQueueTests {
  @Test(arguments: [1, 2, 5])
  func everyJobIsDoneOnce(_ threads: Int) {
    let queue = JobQueue()
    let done = Mutex<[Int: Int]>([:])
    @Sendable func add(_ number: Int) {
      queue.add(JobQueue.Urgency.allCases[number % 5]) { worker in
        #expect((0..<threads).contains(worker))
        done.withLock { $0[number, default: 0] += 1 }
        // A tree of jobs: each brings about two.
        for child in [2 * number, 2 * number + 1] where child < 1000 { add(child) }
      }
    }
    add(1)
    let pool = WorkerPool(threads: threads)
    let ticks = Mutex(0)
    let caller = pthread_self()
    queue.run(on: pool) {
      #expect(pthread_equal(pthread_self(), caller) != 0)
      ticks.withLock { $0 += 1 }
    }
    #expect(done.withLock { $0 } == Dictionary(uniqueKeysWithValues: (1..<1000).map { ($0, 1) }))
    #expect(ticks.withLock { $0 } > 0)
    // A queue can be used again, and one without jobs has nothing to wait for.
    queue.run(on: pool)
    add(999)
    queue.run(on: pool)
    #expect(done.withLock { $0[999] } == 2)
  }

  /// What a job holds is let go when it is done, not when the queue is.
  @Test func jobsAreLetGo() {
    final class Memory: Sendable {
      static let living = Mutex(0)
      init() { Memory.living.withLock { $0 += 1 } }
      deinit { Memory.living.withLock { $0 -= 1 } }
    }
    let queue = JobQueue()
    let most = Mutex(0)
    let before = Memory.living.withLock { $0 }
    @Sendable func add(_ number: Int) {
      let memory = Memory()
      queue.add(.begin) { _ in
        withExtendedLifetime(memory) {}
        most.withLock { $0 = max($0, Memory.living.withLock { $0 } - before) }
        if number < 3000 { add(number + 1) }
      }
    }
    for threads in [1, 2] {
      add(0)
      queue.run(on: WorkerPool(threads: threads))
    }
    // This job's, and those that threads are about to let go.
    #expect(most.withLock { $0 } <= 3)
  }

  @Test func urgentJobsComeFirst() {
    let queue = JobQueue()
    let order = Mutex<[String]>([])
    for (name, urgency) in [
      ("e", JobQueue.Urgency.last), ("c", .advance), ("a", .first), ("d", .begin), ("b", .finish), ("b2", .finish),
    ] {
      queue.add(urgency) { _ in order.withLock { $0.append(name) } }
    }
    queue.add(.first) { _ in queue.add(.first) { _ in order.withLock { $0.append("a2") } } }
    queue.run(on: WorkerPool(threads: 1))
    #expect(order.withLock { $0 } == ["a", "a2", "b", "b2", "c", "d", "e"])
  }

  /// A thread that finds nothing waits for the jobs that a running one is going to add.
  @Test func threadsWaitForWhatIsToCome() {
    let queue = JobQueue()
    let together = Mutex(0)
    let most = Mutex(0)
    queue.add(.begin) { _ in
      usleep(50_000)
      for _ in 0..<4 {
        queue.add(.begin) { _ in
          let now = together.withLock {
            $0 += 1
            return $0
          }
          most.withLock { $0 = max($0, now) }
          // Long enough for the other thread to come, on any machine that is not stuck.
          for _ in 0..<200 where most.withLock({ $0 }) < 2 { usleep(10_000) }
          together.withLock { $0 -= 1 }
        }
      }
    }
    queue.run(on: WorkerPool(threads: 2))
    #expect(most.withLock { $0 } == 2)
  }

  @Test func theFirstErrorInTheOrderOfTheWorkIsKept() {
    let failures = FirstFailure()
    #expect(failures.isEmpty && !failures.precedes(Int.max))
    #expect(throws: Never.self) { try failures.rethrow() }
    for place in [7, 3, 9, 3, 5] { failures.add(FurlError.input("file", "\(place)"), at: place) }
    #expect(!failures.isEmpty && failures.precedes(4) && !failures.precedes(3))
    let error = #expect(throws: FurlError.self) { try failures.rethrow() }
    #expect(error?.problem == "3")
  }
}
