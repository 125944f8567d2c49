# A virtual environment without pip, and pip itself.
set -eu
cd "$(mktemp -d)"
/usr/bin/python3 -m venv --without-pip env
env/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix, sys.version_info[:2])'
. env/bin/activate; python -c 'import os, sys; print(os.path.basename(sys.prefix))'
printf 'def f():\n    return 42\n' > module.py; python -c 'import module; print(module.f())'; ls __pycache__ | sed 's/cpython-.*/X/'
! /usr/bin/python3 -m pip --version > version 2>&1 || sed 's/ from.*//' version
/usr/bin/python3 -c 'import runpy; print(runpy.run_path("module.py")["f"]())'
echo 'print(input()[::-1])' > reverse.py; echo stressed | python reverse.py
