from rest_framework.response import Response
from rest_framework.views import APIView

from jotgate_auth import has_role


class WhoAmI(APIView):
    def get(self, request):
        return Response({"id": request.user.pk, "username": request.user.get_username(), "roles": request.auth["roles"],
                         "mode": request.auth["mode"]})

    def post(self, request):
        return Response({"wrote": request.data}, status=201)


class Admin(APIView):
    permission_classes = [has_role("admin")]

    def get(self, request):
        return Response({"admin": True})
