# gcc and g++: compile and run C, C++ with exceptions and threads, static and with make.
set -eu
cd "$(mktemp -d)"
printf '#include <stdio.h>\n#include <math.h>\nint main(int c, char **v) { printf("%%d %%.6f %%s\\n", c, sqrt(2), v[1]); return 7; }\n' > a.c
gcc -O2 -Wall -o a a.c -lm; ./a argument || echo "status $?"; gcc -static -o b a.c -lm; ./b x || echo "status $?"
cat > t.cc <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
struct guard { ~guard() { std::cout << "unwound" << std::endl; } };
static int deep(int n) { guard g; if (n == 0) throw std::runtime_error("thrown"); return deep(n - 1); }
int main() {
  try { deep(3); } catch (const std::exception &e) { std::cout << e.what() << std::endl; }
  std::map<std::string, int> words{{"b", 2}, {"a", 1}}; for (auto &[k, v] : words) std::cout << k << v << ' ';
  std::vector<std::thread> threads; std::vector<long> sums(4); for (int i = 0; i < 4; i++) threads.emplace_back([i, &sums] { for (long k = 0; k < 100000; k++) sums[i] += k * i; });
  for (auto &t : threads) t.join(); for (long s : sums) std::cout << s << ' '; std::cout << std::endl;
  try { std::string().at(5); } catch (std::out_of_range &) { std::cout << "range" << std::endl; }
  throw 5;
}
END
g++ -O1 -std=c++17 -pthread -o t t.cc; ./t 2> /dev/null || echo "status $?"
printf 'all: x y\nx: ; @echo making x\ny: x ; @echo making y\n' > Makefile; command -v make > /dev/null && make -s
echo 'int broken(' | gcc -xc -c - -o /dev/null 2> /dev/null || echo "errors are errors"
