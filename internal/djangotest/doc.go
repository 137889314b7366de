// Package djangotest runs jotgate beside a real Django REST framework project,
// both behind one origin, with the authentication class of configs/django as it
// is shipped. It has tests only: what it shows is that the two understand each
// other, which neither side can show alone.
package djangotest
