# git: init, commit, branches, merge, clone of a local repository, gc, archive.
set -eu
cd "$(mktemp -d)"; export HOME=$PWD GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' GIT_COMMITTER_DATE='2001-02-03T04:05:06Z' GIT_CONFIG_NOSYSTEM=1
git init -q -b main one; cd one
for i in $(seq 1 30); do echo "file $i" > "f$i"; done; git add .; git commit -qm first; git rev-parse HEAD
git checkout -qb topic; echo more >> f1; git commit -qam second; git checkout -q main; echo other >> f2; git commit -qam third; git merge -q --no-edit topic; git log --oneline | cat; git rev-parse HEAD
cd ..; git clone -q one two; cd two; git log -1 --format=%H; git status --short; ls | wc -l
git diff HEAD~1 --stat | cat; git gc -q; git fsck 2>&1 | tail -1; git archive HEAD | tar t | wc -l; git blame f1 | cut -c1-8
echo x > new; git stash -qu; git stash list | wc -l; git clone -q --bare . ../bare; git -C ../bare count-objects | cut -d' ' -f2; git push -q ../bare HEAD:refs/heads/pushed; git -C ../bare branch | cat
